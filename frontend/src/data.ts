// What the server puts into the page for the charts. Null is a gap, never 0.

import { clockOf, zoneName } from "./zone";

export type Values = (number | null)[];

export interface Series {
  key: string;
  label: string;
  shown: Values;
  per: Values;
}

export interface ChartData {
  time: "clock" | "release";
  interval_s: number;
  title: string;
  unit: string;
  per_title: string;
  x: number[];
  open_x: number | null;
  series: Series[];
}

export function readChartData(root: ParentNode): ChartData | null {
  const text = root.querySelector("#chart-data")?.textContent;
  return text ? (JSON.parse(text) as ChartData) : null;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number): string => String(n).padStart(2, "0");

/** `Nov 22`, in the chosen zone. */
export function dayLabel(seconds: number): string {
  const at = clockOf(seconds);
  return `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}`;
}

/** `14:05`, in the chosen zone. */
export function clockLabel(seconds: number): string {
  const at = clockOf(seconds);
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
  const day = `${clockOf(seconds).getUTCFullYear()} ${dayLabel(seconds)}`;
  return data.interval_s >= 86400 ? day : `${day} ${clockLabel(seconds)} ${zoneName(seconds)}`;
}

/** As the tables print: two decimals below 100, whole numbers above. */
export function numberLabel(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value < 0.01 ? value.toPrecision(2) : value.toFixed(2);
}
