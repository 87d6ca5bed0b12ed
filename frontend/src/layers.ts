// What lies under and over the lines of a chart: bands, and marks of what happened when.

import type uPlot from "uplot";
import { css } from "./plots";
import type { Band, ChartData, Values } from "./data";

const LABEL_HEIGHT = 11;

/** The area between two lines, in pieces where one of them is unknown. */
export function shadeBetween(plot: uPlot, low: Values, high: Values, colour: string, alpha: number): void {
  const { ctx } = plot;
  ctx.save();
  clip(plot);
  ctx.fillStyle = colour;
  ctx.globalAlpha = alpha;
  let piece: number[] = [];
  const close = (): void => {
    const edge = (values: Values): [number, number][] => {
      const points = piece.map((i): [number, number] => [at(plot, i), plot.valToPos(values[i]!, "y", true)]);
      if (points.length > 1) return points;
      const half = 3 * devicePixelRatio; // an interval alone has no width
      return points.flatMap(([x, y]): [number, number][] => [[x - half, y], [x + half, y]]);
    };
    ctx.beginPath();
    for (const [x, y] of [...edge(high), ...edge(low).reverse()]) ctx.lineTo(x, y);
    ctx.closePath();
    ctx.fill();
    piece = [];
  };
  const [from, to] = plot.series[0]!.idxs ?? [0, low.length - 1];
  for (let i = Math.max(0, from - 1); i <= Math.min(low.length - 1, to + 1); i++) {
    if (low[i] == null || high[i] == null) close();
    else piece.push(i);
  }
  close();
  ctx.restore();
}

/** The band of predecessors, with its median as a thin line. */
export function shadeBand(plot: uPlot, band: Band, colour: string): void {
  shadeBetween(plot, band.low, band.high, colour, 0.18);
  const { ctx } = plot;
  ctx.save();
  clip(plot);
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  let down = false;
  band.mid.forEach((value, i) => {
    if (value === null) down = false;
    else {
      if (down) ctx.lineTo(at(plot, i), plot.valToPos(value, "y", true));
      else ctx.moveTo(at(plot, i), plot.valToPos(value, "y", true));
      down = true;
    }
  });
  ctx.stroke();
  ctx.restore();
}

/** Vertical lines where something happened; the upper chart says what, as far as there is room. */
export function drawMarks(plot: uPlot, data: ChartData, labelled: boolean): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = devicePixelRatio;
  let free = -Infinity;
  ctx.save();
  ctx.font = `${LABEL_HEIGHT * ratio}px ${css("--font") || "system-ui"}`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  for (const mark of data.marks) {
    const x = plot.valToPos(mark.x, "x", true);
    if (x < left || x > left + width) continue;
    const released = mark.kind === "release";
    ctx.strokeStyle = ctx.fillStyle = css(released ? "--weak" : "--accent");
    ctx.lineWidth = ratio;
    ctx.setLineDash(released ? [2 * ratio, 3 * ratio] : [6 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    const wide = ctx.measureText(mark.label).width;
    const from = Math.min(Math.max(x - wide / 2, left), left + width - wide);
    if (!labelled || from < free) continue;
    ctx.fillText(mark.label, from, top - 3 * ratio);
    free = from + wide + 6 * ratio;
  }
  ctx.restore();
}

function at(plot: uPlot, index: number): number {
  return plot.valToPos(plot.data[0][index]!, "x", true);
}

function clip(plot: uPlot): void {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.beginPath();
  plot.ctx.rect(left, top, width, height);
  plot.ctx.clip();
}
