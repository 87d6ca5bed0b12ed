// What the server puts into the page for the charts. Null is a gap, never 0.

import { clockOf, zoneName } from "./zone";

export type Values = (number | null)[];

export interface Series {
  key: string;
  label: string;
  shown: Values;
  per: Values;
}

export interface Band {
  names: string[];
  low: Values;
  mid: Values;
  high: Values;
}

export interface Mark {
  x: number;
  label: string;
  kind: "release" | "annotation";
  text: string;
  /** Which line it is on, where time counts from the start of each; -1: all. */
  line: number;
  of: string;
  at: string;
}

export interface ChartData {
  time: "clock" | "release";
  interval_s: number;
  title: string;
  unit: string;
  per_title: string;
  /** Start of each interval, in seconds. */
  x: number[];
  open_x: number | null;
  rate: boolean;
  counted: boolean;
  smooth: string;
  series: Series[];
  band: Band | null;
  marks: Mark[];
}

interface Sent extends Omit<ChartData, "x" | "series"> {
  x0: number;
  count: number;
  series: { key: string; label: string; value: Values; per: Values }[];
}

/** The data of the page; what is drawn of it is divided here, so that less is sent. */
export function readChartData(root: ParentNode): ChartData | null {
  const text = root.querySelector("#chart-data")?.textContent;
  if (!text) return null;
  const sent = JSON.parse(text) as Sent;
  const x = Array.from({ length: sent.count }, (_, i) => sent.x0 + i * sent.interval_s);
  const series = sent.series.map(({ key, label, value, per }) => ({
    key,
    label,
    shown: sent.rate ? value.map((one, i) => (one === null || !per[i] ? null : (1000 * one) / per[i])) : value,
    per,
  }));
  return { ...sent, x, series };
}

/** How many were counted in an interval; null where the rate does not tell. */
export function countOf(data: ChartData, line: number, index: number): number | null {
  const series = data.series[line];
  const rate = series?.shown[index];
  const per = series?.per[index];
  return data.counted && rate != null && per ? Math.round((rate * per) / 1000) : null;
}

/** The 95 % interval of a rate by its count alone (Byar's approximation of the Poisson interval). */
export function intervalOf(data: ChartData, line: number, index: number): [number, number] | null {
  const count = countOf(data, line, index);
  const per = data.series[line]?.per[index];
  if (count === null || !per) return null;
  const more = count + 1;
  const low = count ? count * (1 - 1 / (9 * count) - 1.96 / (3 * Math.sqrt(count))) ** 3 : 0;
  const high = more * (1 - 1 / (9 * more) + 1.96 / (3 * Math.sqrt(more))) ** 3;
  return [(1000 * Math.max(0, low)) / per, (1000 * high) / per];
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number): string => String(n).padStart(2, "0");

/** Days are those of UTC, whatever zone is chosen: a day of another zone has other numbers. */
export function inDays(data: ChartData): boolean {
  return data.interval_s >= 86400;
}

/** The name of the zone in which a time of the chart is written. */
export function zoneOf(data: ChartData, seconds: number): string {
  return inDays(data) ? "UTC" : zoneName(seconds);
}

function clockIn(data: ChartData, seconds: number): Date {
  return inDays(data) ? new Date(seconds * 1000) : clockOf(seconds);
}

/** `Nov 22`. */
export function dayLabel(data: ChartData, seconds: number): string {
  const at = clockIn(data, seconds);
  return `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}`;
}

/** `14:05`. */
export function clockLabel(data: ChartData, seconds: number): string {
  const at = clockIn(data, seconds);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

/** `+36 h`, `+2 d`, `+0:25`. */
export function ageLabel(seconds: number, day = false): string {
  if (day) return `+${Math.round(seconds / 8640) / 10} d`;
  const minutes = Math.round(seconds / 60);
  return minutes % 60 ? `+${Math.floor(minutes / 60)}:${two(minutes % 60)}` : `+${minutes / 60} h`;
}

/** Where an interval lies, in words. */
export function placeLabel(data: ChartData, seconds: number): string {
  if (data.time === "release") {
    const days = Math.floor(seconds / 86400);
    const at = new Date(seconds * 1000); // a length, which has no zone
    return days ? `+${days} d ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}` : ageLabel(seconds);
  }
  const day = `${clockIn(data, seconds).getUTCFullYear()} ${dayLabel(data, seconds)}`;
  return `${inDays(data) ? day : `${day} ${clockLabel(data, seconds)}`} ${zoneOf(data, seconds)}`;
}

/** As the tables print: two decimals below 100, whole numbers above. */
export function numberLabel(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value < 0.01 ? value.toPrecision(2) : value.toFixed(2);
}

/** An end of an interval: two digits are all that it is good for. */
export function roughLabel(value: number): string {
  return numberLabel(Number(value.toPrecision(2)));
}
