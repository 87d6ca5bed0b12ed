// The page of a measure: the address is the state. Every change fetches the page of the new address and swaps it in;
// the page of the same address is fetched again every few seconds, so that it stays live.

import "./measure.css";
import { intervalOf, numberLabel, placeLabel, readChartData, roughLabel, type ChartData } from "./data";
import type { Plots } from "./plots";
import { find, isLost, keepTyped, live, NOT_REACHED, swap, troubleOf } from "./swap";
import { THEME_CHANGED } from "./theme";
import { offerValues } from "./values";
import { ZONE_CHANGED } from "./zone";

const LIVE_EVERY_MS = 5000;
const WAITING_EVERY_MS = 1000;
const SLOW_EVERY_MS = 60_000;
const LONGEST_MS = 60_000;
/** What has the address change without leaving the page. */
const SWAPS = "[data-view], [data-selectors], a[data-swap]";
/** What of a page follows the data; the forms do not, so that nothing is lost that is being typed. */
const LIVE_PARTS = [
  "[data-notes]", ".small-charts", ".share", "[data-lines]", "[data-marks]", "section.numbers", "#chart-data",
]; // prettier-ignore
let plots: Plots | null = null;
let data: ChartData | null = null;
let fetching: AbortController | null = null;
/** Path and query of what is shown; the address also changes where only a place within the page is chosen. */
let shown = location.pathname + location.search;
/** A change of the view that the server did not answer. */
let wanted: { address: string; push: boolean } | null = null;
let tag = "";
let zoomTimer = 0;

export function startViews(): void {
  document.addEventListener("change", onChange);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusin", offerValues);
  document.addEventListener(THEME_CHANGED, () => plots?.recolour());
  document.addEventListener(ZONE_CHANGED, () => plots?.recolour());
  document.addEventListener("mouseover", onHover);
  window.addEventListener("popstate", () => {
    if (location.pathname + location.search !== shown && find(SWAPS)) void go(location.href, false);
  });
  void draw();
  window.setInterval(() => {
    if (wanted) void go(wanted.address, wanted.push);
    else if (isLost() || !find('[data-live-page="slow"]')) void refresh();
  }, LIVE_EVERY_MS);
  window.setInterval(() => {
    if (find('[data-live-page="slow"]')) void refresh(); // what it shows comes every few minutes
  }, SLOW_EVERY_MS);
  window.setInterval(() => {
    if (find('[data-live-page="fast"]')) void refresh(); // somebody waits for what it will show
  }, WAITING_EVERY_MS);
  document.addEventListener("visibilitychange", () => void refresh());
}

// ---- charts

/** Only pages with charts load what draws them. */
async function draw(): Promise<void> {
  plots?.destroy();
  plots = null;
  data = readChartData(document);
  const boxes = new Map<"shown" | "per", HTMLElement>();
  for (const field of ["shown", "per"] as const) {
    const box = find(`[data-plot="${field}"]`);
    if (box) boxes.set(field, box);
  }
  if (!data || !boxes.size) return;
  const drawn = data;
  const { Plots } = await import("./plots");
  if (data !== drawn) return; // another view was chosen meanwhile
  plots = new Plots(boxes, data, { moved: showValues, zoomed: noteZoom }, zoomOf(location.href));
  showValues(null);
  const button = find<HTMLButtonElement>("[data-png]");
  if (button) button.hidden = false;
}

async function keepPicture(): Promise<void> {
  if (!plots || !data) return;
  const { savePicture } = await import("./picture");
  const title = document.title.split(" – ")[0] ?? data.title;
  const address = document.getElementById("permalink")?.textContent ?? location.href;
  savePicture(plots.canvases(), data, { title, address });
}

function zoomOf(address: string): [number, number] | null {
  const ends = new URL(address).searchParams.get("zoom")?.split("_").map(Number) ?? [];
  return ends.length === 2 && ends[0]! < ends[1]! ? [ends[0]!, ends[1]!] : null;
}

function noteZoom(range: [number, number] | null): void {
  const button = find<HTMLButtonElement>("[data-reset-zoom]");
  if (button) button.hidden = range === null;
  const url = new URL(location.href);
  const text = range ? `${Math.max(0, range[0])}_${range[1]}` : null;
  if (url.searchParams.get("zoom") === text) return;
  if (text) url.searchParams.set("zoom", text);
  else url.searchParams.delete("zoom");
  window.clearTimeout(zoomTimer); // a drag makes several events; only the last is worth an entry
  zoomTimer = window.setTimeout(() => {
    history.replaceState(null, "", url);
    shown = url.pathname + url.search;
  }, 50);
}

function lastIndex(field: "shown" | "per", line: number): number {
  const values = data?.series[line]?.[field] ?? [];
  return values.findLastIndex((value) => value !== null);
}

/** The legend's numbers at the cursor, or the latest ones when there is none. */
function showValues(index: number | null): void {
  if (!data) return;
  const at = find("[data-at]");
  const place = index === null ? undefined : data.x[index];
  if (at) at.textContent = place === undefined ? "" : placeLabel(data, place);
  for (const head of document.querySelectorAll("[data-cursor-head]")) {
    head.textContent = index === null ? "Latest" : "At cursor";
  }
  for (const row of document.querySelectorAll<HTMLElement>("[data-line]")) {
    const line = Number(row.dataset.line);
    for (const field of ["shown", "per"] as const) {
      const cell = row.querySelector(`[data-cursor="${field}"]`);
      const i = index ?? lastIndex(field, line);
      if (!cell) continue;
      const ends = field === "shown" && index !== null ? intervalOf(data, line, i) : null;
      cell.textContent = numberLabel(data.series[line]?.[field][i]) + (ends ? ` (${ends.map(roughLabel).join("–")})` : "");
    }
  }
}

/** Aloud only where a key moved the cursor: a pointer passes many places. */
function sayValues(): void {
  const said = find("[data-cursor-said]");
  if (!said) return;
  const lines = [...document.querySelectorAll("[data-line]")].map((row) => {
    const [name, ...values] = [...row.querySelectorAll("th, [data-cursor]")].map((cell) => cell.textContent?.trim());
    return `${name} ${values.join(", ")}`;
  });
  said.textContent = [find("[data-at]")?.textContent, ...lines].join("; ");
}

function onHover(event: Event): void {
  const row = (event.target as Element).closest?.<HTMLElement>("[data-line]");
  plots?.highlight(row ? Number(row.dataset.line) : null);
}

function onKey(event: KeyboardEvent): void {
  if (!(event.target as Element).closest?.("[data-plot]")) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    plots?.step((event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 12 : 1));
    sayValues();
    event.preventDefault();
  } else if (event.key === "Escape") {
    plots?.zoom(null);
  }
}

// ---- changes of the view

function onChange(event: Event): void {
  const input = event.target as HTMLInputElement;
  const form = input.form;
  if (form?.matches("[data-view]")) {
    if (input.name === "start" || input.name === "end") {
      const custom = form.querySelector<HTMLInputElement>('input[name="range"][value="custom"]');
      if (custom) custom.checked = true;
    }
    void go(viewAddress(form), true);
  } else if (form?.matches("[data-selectors]")) {
    void go(formAddress(form), true);
  } else if (input.name === "filter") {
    const box = form?.querySelector<HTMLInputElement>("input[name=value]");
    if (box) box.value = "";
  }
}

function formAddress(form: HTMLFormElement): string {
  const pairs = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
  const address = new URL(form.action);
  address.search = new URLSearchParams(pairs).toString();
  return address.href;
}

/** The shortest address of what the form says: what is the default is left out, so that it can follow new data. */
function viewAddress(form: HTMLFormElement): string {
  const said = new FormData(form);
  const [time, range] = [said.get("time") ?? "clock", said.get("range")];
  if (range === (time === "release" ? "custom" : "newest")) said.delete("range"); // the other axis has no such range
  const custom = said.get("range") === "custom";
  const boxes = [...document.querySelectorAll<HTMLInputElement>('input[type="checkbox"][name="series"]')];
  const usual = boxes.every((box) => box.checked === "default" in box.dataset) || !boxes.some((box) => box.checked);
  const pairs = new URLSearchParams();
  for (const [name, value] of said) {
    const skipped =
      !value ||
      isDefault(form, name) ||
      (!custom && (name === "start" || name === "end")) ||
      (name === "series" && usual);
    if (!skipped) pairs.append(name, String(value));
  }
  const text = pairs.toString();
  return text ? `${form.action}?${text}` : form.action;
}

function isDefault(form: HTMLFormElement, name: string): boolean {
  const of = `[name="${CSS.escape(name)}"]`;
  const chosen = form.querySelector<HTMLElement>(`input[type="radio"]${of}:checked, select${of} option:checked`);
  return chosen !== null && "default" in chosen.dataset;
}

function onSubmit(event: SubmitEvent): void {
  const form = event.target as HTMLFormElement;
  if (!form.matches("[data-view], [data-selectors], [data-add-filter]")) return;
  event.preventDefault();
  void go(form.matches("[data-view]") ? viewAddress(form) : formAddress(form), true);
}

function onClick(event: MouseEvent): void {
  const target = event.target as Element;
  if (target.closest("[data-reset-zoom]")) plots?.zoom(null);
  if (target.closest("[data-png]")) void keepPicture();
  const link = target.closest<HTMLAnchorElement>("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  void go(link.href, true);
}

// ---- fetching

/** The page of an address; "replaced": another one was asked for meanwhile; null: there was no answer. */
async function fetchPage(address: string, headers: Record<string, string> = {}): Promise<[Response, Document] | "replaced" | null> {
  fetching?.abort();
  const own = (fetching = new AbortController());
  try {
    const answer = await fetch(address, {
      headers: { accept: "text/html", ...headers },
      cache: "no-store",
      signal: AbortSignal.any([own.signal, AbortSignal.timeout(LONGEST_MS)]),
    });
    if (answer.status === 304) return [answer, document];
    return [answer, new DOMParser().parseFromString(await answer.text(), "text/html")];
  } catch {
    if (own.signal.aborted) return "replaced";
    live(NOT_REACHED);
    return null;
  } finally {
    if (fetching === own) fetching = null;
  }
}

/** Show the page of another address, without losing focus or scroll position. */
async function go(address: string, push: boolean): Promise<void> {
  wanted = null;
  document.body.setAttribute("aria-busy", "true");
  const found = await fetchPage(address);
  if (found === "replaced") return;
  document.body.removeAttribute("aria-busy");
  if (!found) {
    wanted = { address, push };
    return;
  }
  const [answer, page] = found;
  const place = new URL(address, location.href).hash;
  if (push) history.pushState(null, "", answer.url.replace(/#.*/, "") + place);
  shown = location.pathname + location.search;
  swap("main", page);
  swap(".selectors", page);
  document.title = page.title;
  tag = answer.headers.get("etag") ?? "";
  if (place) document.getElementById(place.slice(1))?.scrollIntoView();
  void draw();
  live(troubleOf(answer));
}

/** The same page with newer numbers; what the reader is doing (zoom, focus, scrolling) stays. */
async function refresh(): Promise<void> {
  // One at a time: a page that takes longer than the time between two would never come.
  if (document.hidden || fetching || wanted || !find("[data-view], [data-live-page]")) return;
  if (find("[data-live-page]") && getSelection()?.toString()) return; // the reader is selecting text
  const found = await fetchPage(location.href, tag ? { "if-none-match": tag } : {});
  if (!found || found === "replaced") return;
  const [answer, page] = found;
  if (answer.status !== 304 && answer.ok) {
    tag = answer.headers.get("etag") ?? "";
    swap("[data-history]", page);
    swap("[data-trouble]", page);
    if (find("[data-live-page]")) takePage(page);
    else takeNumbers(page);
  }
  const told = tellRefusal(answer.status >= 400 && answer.status < 500 ? page : null);
  live(told ? "no longer live" : troubleOf(answer));
}

/** Above the charts, which stay: why there are no newer numbers, and what to do. Gives whether the page says so. */
function tellRefusal(page: Document | null): boolean {
  const notice = find("[data-view-refused]");
  if (!notice) return false;
  const said = [".refusal h1", ".refusal .lead"].map((part) => page?.querySelector(part)?.textContent?.trim() ?? "");
  const text = said[0] ? `No newer numbers: ${said.filter(Boolean).join(" ")} The charts keep what was last known; they go on by themselves once this view is answered again.` : "";
  notice.hidden = !text;
  if (notice.textContent !== text) notice.textContent = text;
  return text !== "";
}

/** A page is replaced whole or, where it has a form, in its live parts. */
function takePage(page: Document): void {
  document.title = page.title;
  const parts = livePartsOf(document);
  if (parts.length && parts.join() === livePartsOf(page).join()) {
    for (const part of parts) swap(`[data-live-part="${CSS.escape(part)}"]`, page);
    takeLiveness(page);
    return;
  }
  keepTyped(() => {
    swap("main", page);
    swap(".selectors", page);
  });
}

/** How often a page is fetched stands at what is not replaced with its parts. */
function takeLiveness(page: Document): void {
  const often = page.querySelector("main")?.getAttribute("data-live-page") ?? null;
  if (often === null) find("main")?.removeAttribute("data-live-page");
  else find("main")?.setAttribute("data-live-page", often);
}

function livePartsOf(page: Document): string[] {
  return [...page.querySelectorAll<HTMLElement>("[data-live-part]")].map((part) => part.dataset.livePart ?? "");
}

function takeNumbers(page: Document): void {
  const next = readChartData(page);
  const labels = (of: ChartData | null): string => of?.series.map((series) => series.key).join("\n") ?? "";
  if (!next || !data || !plots || labels(next) !== labels(data) || next.per_title !== data.per_title) {
    swap("main", page);
    void draw();
    return;
  }
  for (const part of LIVE_PARTS) swap(part, page);
  data = next;
  plots.update(next);
  showValues(null);
}
