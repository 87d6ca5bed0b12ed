// The charts as one PNG: title, what is shown, legend, both charts with the names of their axes.

import { colour, css, DASHES } from "./plots";
import { zoneOf, type ChartData } from "./data";

const EDGE = 16;
const ROW = 18;
const MOST_NOTES = 8;

const SMALL_WIDTH = 240;
const SMALL_HEIGHT = 90;

export interface Caption {
  title: string;
  address: string;
}

/** A small chart as the page has it: paths in its own coordinates. */
interface Small {
  label: string;
  top: string;
  paths: { index: number; path: string }[];
}

/** Let the browser keep the picture as a file. */
export function savePicture(canvases: HTMLCanvasElement[], data: ChartData, caption: Caption): void {
  drawPicture(canvases, data, caption).toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${caption.title.replace(/[^\w.]+/g, "-").slice(0, 80) || "chart"}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function drawPicture(canvases: HTMLCanvasElement[], data: ChartData, caption: Caption): HTMLCanvasElement {
  const ratio = devicePixelRatio;
  const width = Math.max(...canvases.map((canvas) => canvas.width)) / ratio;
  const names = [unitOf(data), data.per_title].slice(0, canvases.length);
  const legend = rowsOf(data, width);
  const told = data.marks.filter((mark) => mark.kind === "annotation");
  const notes = told.filter((mark, i) => told.findIndex((one) => one.label === mark.label) === i).slice(-MOST_NOTES);
  const heights = canvases.map((canvas) => canvas.height / ratio + ROW + 4);
  const height = EDGE * 2 + 26 + ROW + legend.length * ROW + 8 + heights.reduce((sum, one) => sum + one, 0);
  const small = smallCharts();
  const beside = Math.max(1, Math.floor(width / (SMALL_WIDTH + 48)));
  const tall = SMALL_HEIGHT + 2 * ROW;
  const smallHeight = small.charts.length ? ROW + Math.ceil(small.charts.length / beside) * tall : 0;
  const whole = height + smallHeight + (notes.length + 1) * ROW;
  const picture = document.createElement("canvas");
  picture.width = Math.round((width + 2 * EDGE) * ratio);
  picture.height = Math.round(whole * ratio);
  const ctx = picture.getContext("2d")!;
  ctx.scale(ratio, ratio);
  ctx.fillStyle = css("--paper") || "#fff";
  ctx.fillRect(0, 0, width + 2 * EDGE, whole);
  const font = css("--font") || "system-ui";
  const write = (text: string, x: number, y: number, size: number, ink: string): void => {
    ctx.font = `${size}px ${font}`;
    ctx.fillStyle = css(ink);
    ctx.textBaseline = "top";
    ctx.fillText(text, x, y, width + EDGE - x);
  };
  let y = EDGE;
  write(caption.title, EDGE, y, 17, "--ink");
  y += 26;
  write(data.time === "clock" ? `By clock time, ${zoneOf(data, data.x.at(-1) ?? 0)}` : "By time since each line's start", EDGE, y, 12, "--weak");
  y += ROW;
  for (const row of legend) {
    for (const { index, label, x } of row) {
      key(ctx, index, EDGE + x, y + 7);
      write(label, EDGE + x + 34, y, 12, "--ink");
    }
    y += ROW;
  }
  y += 8;
  canvases.forEach((canvas, i) => {
    write(names[i] ?? "", EDGE, y, 12, "--weak");
    y += ROW;
    ctx.drawImage(canvas, EDGE, y, canvas.width / ratio, canvas.height / ratio);
    y += canvas.height / ratio + 4;
  });
  if (small.charts.length) write(small.title, EDGE, y, 12, "--weak");
  y += small.charts.length ? ROW : 0;
  small.charts.forEach((chart, i) => {
    const [left, top] = [EDGE + 40 + (i % beside) * (SMALL_WIDTH + 48), y + Math.floor(i / beside) * tall];
    write(chart.label.slice(0, 32), left, top, 12, "--ink");
    write(chart.top, left - 38, top + ROW, 10, "--weak");
    write("0", left - 38, top + ROW + SMALL_HEIGHT - 10, 10, "--weak");
    drawSmall(ctx, chart, left, top + ROW);
  });
  y += small.charts.length ? smallHeight - ROW : 0;
  for (const mark of notes) {
    write(`${mark.label}: ${mark.text}`, EDGE, y, 12, "--ink");
    y += ROW;
  }
  write(caption.address, EDGE, y, 11, "--weak");
  return picture;
}

function smallCharts(): { title: string; charts: Small[] } {
  const section = document.querySelector(".small-charts");
  const text = (root: Element | null | undefined, selector: string): string => root?.querySelector(selector)?.textContent?.trim() ?? "";
  const charts = [...(section?.querySelectorAll("li") ?? [])].map((one) => ({
    label: text(one, "h3"),
    top: text(one, ".top"),
    paths: [...one.querySelectorAll<SVGPathElement>("path")].map((path) => ({
      index: Number(/line-(\d+)/.exec(path.className.baseVal)?.[1] ?? 0),
      path: path.getAttribute("d") ?? "",
    })),
  }));
  return { title: `${text(section, "h2")}: the same lines and axes in each`, charts };
}

function drawSmall(ctx: CanvasRenderingContext2D, chart: Small, left: number, top: number): void {
  ctx.save();
  ctx.translate(left, top);
  ctx.strokeStyle = css("--grid");
  ctx.lineWidth = 1;
  for (const y of [0, SMALL_HEIGHT / 2, SMALL_HEIGHT]) ctx.stroke(new Path2D(`M0 ${y}h${SMALL_WIDTH}`));
  for (const { index, path } of chart.paths) {
    ctx.strokeStyle = colour(index);
    ctx.lineWidth = 1.4;
    ctx.setLineDash(DASHES[index % DASHES.length] ?? []);
    ctx.stroke(new Path2D(path));
  }
  ctx.restore();
}

function unitOf(data: ChartData): string {
  const unit = data.unit.charAt(0).toUpperCase() + data.unit.slice(1);
  return data.smooth ? `${unit}, smoothed over ${data.smooth}` : unit;
}

/** The names of the lines, as many in a row as fit. */
function rowsOf(data: ChartData, width: number): { index: number; label: string; x: number }[][] {
  const rows: { index: number; label: string; x: number }[][] = [];
  const names = data.series.map((series) => series.label);
  if (data.band) names.push(`band: 10–90 % and median of ${data.band.names.length} releases before`);
  let x = Infinity;
  names.forEach((label, index) => {
    const wide = 34 + Math.min(label.length, 80) * 7 + 16;
    if (x + wide > width) {
      rows.push([]);
      x = 0;
    }
    rows[rows.length - 1]!.push({ index: index < data.series.length ? index : -1, label: label.slice(0, 80), x });
    x += wide;
  });
  return rows;
}

function key(ctx: CanvasRenderingContext2D, index: number, x: number, y: number): void {
  ctx.save();
  ctx.strokeStyle = index < 0 ? css("--weak") : colour(index);
  ctx.lineWidth = index === 0 ? 2.4 : 1.8;
  ctx.setLineDash(index < 0 ? [] : (DASHES[index % DASHES.length] ?? []));
  if (index < 0) {
    ctx.fillStyle = css("--weak");
    ctx.globalAlpha = 0.25;
    ctx.fillRect(x, y - 5, 28, 10);
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1;
  }
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + 28, y);
  ctx.stroke();
  ctx.restore();
}
