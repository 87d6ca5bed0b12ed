// The two linked charts of a measure: same time axis, same cursor, same zoom.

import uPlot from "uplot";
import {
  ageLabel,
  clockLabel,
  countOf,
  dayLabel,
  inDays,
  intervalOf,
  numberLabel,
  type ChartData,
  type Values,
} from "./data";
import { drawMarks, shadeBand, shadeBetween } from "./layers";
import { zoneId } from "./zone";

export interface Watcher {
  /** The cursor is at this interval; null: it left the charts. */
  moved(index: number | null): void;
  /** The time axis shows this part; null: all of it. */
  zoomed(range: [number, number] | null): void;
}

type Field = "shown" | "per";
// Colour is never the only sign: every line has its own dash pattern too, and its name at its end.
export const DASHES: (number[] | undefined)[] = [undefined, [7, 3], [2, 3], [9, 3, 2, 3], [14, 4], [4, 2, 1, 2, 1, 2]];
const AXIS_WIDTH = 58;
const AGES = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400];

export function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function colour(index: number): string {
  return css(`--line-${index % 8}`);
}

function timeLabels(data: ChartData, splits: number[], step: number): string[] {
  if (data.time === "release") return splits.map((at) => ageLabel(at, step >= 86400));
  if (step >= 86400) return splits.map((at) => dayLabel(data, at));
  let last = "";
  return splits.map((at) => {
    const day = dayLabel(data, at);
    const text = day === last ? clockLabel(data, at) : `${clockLabel(data, at)}\n${day}`;
    last = day;
    return text;
  });
}

/** The name of a line at its end: of a side of a comparison its letter, the rest stands in the legend. */
function shortName(label: string): string {
  return /^[AB]: /.test(label) ? label.slice(0, 1) : label;
}

/** A point between two gaps has no line to show it: give it a dot. */
function lonePoints(plot: uPlot, series: number): number[] {
  const values = plot.data[series] as Values;
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}

/** Fewer than so many counted: the interval of the rate is wider than the rate. */
const FEW = 16;
/** With more points in view rings would hide the line. */
const ROOM_FOR_RINGS = 250;

export class Plots {
  private plots: uPlot[] = [];
  private readonly observer: ResizeObserver;
  private full = true;
  /** The line that is pointed at. */
  private pointed: number | null = null;

  constructor(
    private readonly boxes: Map<Field, HTMLElement>,
    private data: ChartData,
    private readonly watcher: Watcher,
    zoom: [number, number] | null,
  ) {
    this.build();
    if (zoom) this.zoom(zoom);
    this.observer = new ResizeObserver(() => this.fit());
    for (const box of boxes.values()) this.observer.observe(box);
  }

  destroy(): void {
    this.observer.disconnect();
    for (const plot of this.plots) plot.destroy();
    this.plots = [];
  }

  /** New numbers in the same view: what is zoomed stays where it is. */
  update(data: ChartData): void {
    const range = this.range();
    const wasFull = this.full;
    this.data = data;
    [...this.boxes.keys()].forEach((field, i) => this.plots[i]?.setData(this.columns(field), wasFull));
    if (!wasFull && range) this.zoom(range);
  }

  /** Draw again, in the colours of another theme. */
  recolour(): void {
    const range = this.full ? null : this.range();
    for (const plot of this.plots) plot.destroy();
    this.build();
    if (range) this.zoom(range);
  }

  zoom(range: [number, number] | null): void {
    const x = this.data.x;
    const [min, max] = range ?? [x[0] ?? 0, x[x.length - 1] ?? 1];
    for (const plot of this.plots) plot.setScale("x", { min, max });
  }

  /** Make one line stand out; null: none. */
  highlight(line: number | null): void {
    if (line === this.pointed) return;
    this.pointed = line;
    for (const plot of this.plots) plot.setSeries(line === null ? null : this.column(line), { focus: true });
  }

  step(by: number): void {
    const plot = this.plots[0];
    const x = this.data.x;
    if (!plot || !x.length) return;
    const range = this.range() ?? [x[0]!, x[x.length - 1]!];
    const first = x.findIndex((at) => at >= range[0]);
    const last = x.findLastIndex((at) => at <= range[1]);
    const from = plot.cursor.idx ?? (by > 0 ? first - 1 : last + 1);
    const to = Math.min(last, Math.max(first, from + by));
    for (const each of this.plots) each.setCursor({ left: each.valToPos(x[to]!, "x"), top: 10 });
  }

  /** The canvases as they are now, the upper one first. */
  canvases(): HTMLCanvasElement[] {
    return this.plots.map((plot) => plot.ctx.canvas);
  }

  private range(): [number, number] | null {
    const scale = this.plots[0]?.scales.x;
    return scale?.min != null && scale.max != null ? [scale.min, scale.max] : null;
  }

  /** Number of a line in uPlot's data, where 0 is the time. */
  private column(line: number): number {
    return this.data.series.length - line;
  }

  private columns(field: Field): uPlot.AlignedData {
    // The first line is the newest and most watched: it is drawn last, on top of the others.
    return [this.data.x, ...this.data.series.map((series) => series[field]).reverse()] as uPlot.AlignedData;
  }

  private build(): void {
    this.plots = [...this.boxes].map(([field, box]) => new uPlot(this.options(field, box), this.columns(field), box));
  }

  private fit(): void {
    [...this.boxes.values()].forEach((box, i) => {
      const plot = this.plots[i];
      if (plot && (plot.width !== box.clientWidth || plot.height !== box.clientHeight)) {
        plot.setSize({ width: box.clientWidth, height: box.clientHeight });
      }
    });
  }

  private options(field: Field, box: HTMLElement): uPlot.Options {
    const first = field === "shown";
    const ink = css("--weak");
    const axis = {
      stroke: ink,
      font: `11px ${css("--font") || "system-ui"}`,
      grid: { stroke: css("--grid"), width: 1 },
      ticks: { show: false },
    };
    return {
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [first && this.data.marks.length ? 22 : 10, this.labelWidth(), 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), inDays(this.data) ? "Etc/UTC" : zoneId()),
      legend: { show: false },
      focus: { alpha: 0.25 },
      cursor: {
        sync: { key: "measure", setSeries: false, scales: ["x", null] },
        drag: { x: true, y: false, setScale: true },
        points: { size: 7 },
        focus: { prox: -1 },
      },
      scales: {
        x: { time: this.data.time === "clock" },
        // Rates and counts start at zero: otherwise small changes look like large ones.
        y: { range: (_plot, _min, max) => this.heights(first, max) },
      },
      axes: [
        {
          ...axis,
          size: this.data.time === "clock" ? 38 : 26,
          space: 64,
          ...(this.data.time === "release" ? { incrs: AGES } : {}),
          values: (_plot, splits, _axis, _space, step) => timeLabels(this.data, splits, step),
        },
        { ...axis, size: AXIS_WIDTH, space: 32, values: (_plot, splits) => splits.map(numberLabel) },
      ],
      series: [{}, ...this.data.series.map((series, i) => this.line(series.label, i, first)).reverse()],
      hooks: {
        drawClear: [(plot) => this.drawBelow(plot, first)],
        draw: [(plot) => this.nameLines(plot), (plot) => drawMarks(plot, this.data, first)],
        setCursor: first ? [(plot) => this.watcher.moved(plot.cursor.left! >= 0 ? (plot.cursor.idx ?? null) : null)] : [],
        setScale: first ? [(_plot, key) => key === "x" && this.noteZoom()] : [],
      },
    };
  }

  /** Zero is always there, and the band of predecessors too. */
  private heights(first: boolean, max: number): [number, number] {
    const band = first && this.data.band ? Math.max(0, ...this.data.band.mid.map((value) => value ?? 0)) : 0;
    const top = Math.max(max ?? 0, band * 1.2);
    return [0, top > 0 ? top * 1.06 : 1];
  }

  private drawBelow(plot: uPlot, first: boolean): void {
    this.shadeOpenInterval(plot);
    if (!first) return;
    if (this.data.band) shadeBand(plot, this.data.band, css("--weak"));
    const line = this.pointed ?? (this.data.series.length === 1 ? 0 : null);
    if (line === null || !this.data.counted) return;
    const ends = this.data.x.map((_, i) => intervalOf(this.data, line, i));
    const side = (n: 0 | 1): Values => ends.map((one) => one?.[n] ?? null);
    shadeBetween(plot, side(0), side(1), colour(line), 0.16);
  }

  /** Points without a line, and those that little is known of. */
  private points(plot: uPlot, column: number, first: boolean): number[] {
    const [from, to] = plot.series[0]!.idxs ?? [0, 0];
    if (!first || !this.data.counted || to - from > ROOM_FOR_RINGS) return lonePoints(plot, column);
    const line = this.data.series.length - column;
    const found = new Set(lonePoints(plot, column));
    for (let i = from; i <= to; i++) {
      const count = countOf(this.data, line, i);
      if (count !== null && count < FEW) found.add(i);
    }
    return [...found].sort((a, b) => a - b);
  }

  private line(label: string, index: number, first: boolean): uPlot.Series {
    const stroke = colour(index);
    return {
      label,
      stroke,
      width: index === 0 ? 2 : 1.4,
      ...(DASHES[index % DASHES.length] ? { dash: DASHES[index % DASHES.length] } : {}),
      spanGaps: false,
      points: {
        show: true,
        size: 4,
        fill: first && this.data.counted ? css("--paper") : stroke,
        filter: (plot, column) => this.points(plot, column, first),
      },
    };
  }

  private labelWidth(): number {
    const longest = Math.max(0, ...this.data.series.map((series) => shortName(series.label).length));
    return Math.min(104, 14 + longest * 6.6);
  }

  private noteZoom(): void {
    const range = this.range();
    const x = this.data.x;
    if (!range || !x.length) return;
    this.full = range[0] <= x[0]! && range[1] >= x[x.length - 1]!;
    this.watcher.zoomed(this.full ? null : [Math.round(range[0]), Math.round(range[1])]);
  }

  /** The interval that is still filling is set apart, so that its low count is not taken for a change. */
  private shadeOpenInterval(plot: uPlot): void {
    if (this.data.open_x === null) return;
    const from = plot.valToPos(this.data.open_x - this.data.interval_s / 2, "x", true);
    const { left, top, width, height } = plot.bbox;
    const start = Math.max(left, from);
    if (start >= left + width) return;
    plot.ctx.save();
    plot.ctx.fillStyle = css("--open");
    plot.ctx.fillRect(start, top, left + width - start, height);
    plot.ctx.restore();
  }

  private nameLines(plot: uPlot): void {
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio;
    const gap = 12 * ratio;
    const labels = this.data.series.flatMap((series, i) => {
      const y = this.lastHeight(plot, this.column(i));
      return y === null ? [] : [{ text: shortName(series.label), y: Math.min(top + height, Math.max(top, y)), i }];
    });
    labels.sort((a, b) => a.y - b.y);
    for (let i = 1; i < labels.length; i++) labels[i]!.y = Math.max(labels[i]!.y, labels[i - 1]!.y + gap);
    const over = labels.length ? labels[labels.length - 1]!.y - (top + height) : 0;
    if (over > 0) {
      labels[labels.length - 1]!.y -= over;
      for (let i = labels.length - 2; i >= 0; i--) labels[i]!.y = Math.min(labels[i]!.y, labels[i + 1]!.y - gap);
    }
    plot.ctx.save();
    plot.ctx.font = `${11 * ratio}px ${css("--font") || "system-ui"}`;
    plot.ctx.textBaseline = "middle";
    plot.ctx.textAlign = "left";
    for (const label of labels) {
      plot.ctx.fillStyle = colour(label.i);
      plot.ctx.fillText(label.text, left + width + 6 * ratio, label.y, this.labelWidth() * ratio);
    }
    plot.ctx.restore();
  }

  private lastHeight(plot: uPlot, series: number): number | null {
    const values = plot.data[series] as Values;
    const [first, last] = plot.series[0]!.idxs ?? [0, values.length - 1];
    for (let i = last; i >= first; i--) {
      const value = values[i];
      if (value != null) return plot.valToPos(value, "y", true);
    }
    return null;
  }
}
