// What lies under and over the lines of a chart: bands, and marks of what happened when.

import type uPlot from "uplot";
import { colour, css } from "./plots";
import type { Band, ChartData, Mark, Values } from "./data";

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

/** Until the next `restore()` texts are labels of marks. */
function beginLabels(ctx: CanvasRenderingContext2D, ratio: number): void {
  ctx.save();
  ctx.font = `${LABEL_HEIGHT * ratio}px ${css("--font") || "system-ui"}`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
}

/** What happened when: vertical lines, or signs on the lines that it is of; the upper chart says what, as far as there is room. */
export function drawMarks(plot: uPlot, data: ChartData, labelled: boolean): void {
  const onLines = data.series.length > 1 ? data.marks.filter((mark) => mark.line >= 0) : [];
  drawVertical(plot, data.marks.filter((mark) => !onLines.includes(mark)), labelled);
  drawOnLines(plot, data, onLines, labelled);
}

function drawVertical(plot: uPlot, marks: Mark[], labelled: boolean): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = devicePixelRatio;
  let free = -Infinity;
  beginLabels(ctx, ratio);
  for (const mark of marks) {
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

/** A triangle for a release, a diamond for an annotation; at the foot of the chart where the line has a gap. */
function drawOnLines(plot: uPlot, data: ChartData, marks: Mark[], labelled: boolean): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = devicePixelRatio;
  const size = 5 * ratio;
  const taken: [number, number, number, number][] = [];
  beginLabels(ctx, ratio);
  for (const mark of marks) {
    const x = plot.valToPos(mark.x, "x", true);
    if (x < left || x > left + width) continue;
    const held = heightAt(plot, data, mark);
    const y = held === null ? top + height - size : Math.min(top + height - size, Math.max(top + size, held));
    ctx.beginPath();
    if (mark.kind === "release") corners(ctx, [x, y - size], [x + size, y + size], [x - size, y + size]);
    else corners(ctx, [x, y - size], [x + size, y], [x, y + size], [x - size, y]);
    ctx.lineWidth = 1.5 * ratio;
    ctx.fillStyle = css("--paper");
    ctx.strokeStyle = colour(mark.line);
    ctx.fill();
    ctx.stroke();
    if (!labelled) continue;
    const text = held === null ? `${mark.label} (${mark.of})` : mark.label;
    const wide = ctx.measureText(text).width;
    const from = Math.min(Math.max(x - wide / 2, left), left + width - wide);
    const foot = y - size - 2 * ratio;
    const box: [number, number, number, number] = [from, foot - LABEL_HEIGHT * ratio, from + wide, foot];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    ctx.lineWidth = 3 * ratio;
    ctx.strokeStyle = css("--paper"); // readable over lines
    ctx.strokeText(text, from, foot);
    ctx.fillStyle = css("--ink");
    ctx.fillText(text, from, foot);
  }
  ctx.restore();
}

function corners(ctx: CanvasRenderingContext2D, ...points: [number, number][]): void {
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.closePath();
}

/** Where the line is drawn at a mark; null: it is not. */
function heightAt(plot: uPlot, data: ChartData, mark: Mark): number | null {
  const values = plot.data[data.series.length - mark.line] as Values;
  const place = (mark.x - (data.x[0] ?? 0)) / data.interval_s;
  const i = Math.floor(place);
  const [one, next] = [values[i], values[i + 1]];
  if (one == null) return null;
  return plot.valToPos(next == null ? one : one + (next - one) * (place - i), "y", true);
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
