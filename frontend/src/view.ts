// The page of a measure: the address is the state. Every change fetches the page of the new address and swaps it in;
// the page of the same address is fetched again every few seconds, so that it stays live.

import { numberLabel, placeLabel, readChartData, type ChartData } from "./data";
import type { Plots } from "./plots";
import { THEME_CHANGED } from "./theme";
import { keepUp } from "./upkeep";
import { ZONE_CHANGED } from "./zone";

const LIVE_EVERY_MS = 5000;
const WAITING_EVERY_MS = 1000;
const SLOW_EVERY_MS = 60_000;
let plots: Plots | null = null;
let data: ChartData | null = null;
let fetching: AbortController | null = null;
let tag = "";
let zoomTimer = 0;

const find = <T extends Element = HTMLElement>(selector: string): T | null => document.querySelector<T>(selector);

export function startViews(): void {
  document.addEventListener("change", onChange);
  document.addEventListener("submit", onSubmit);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusin", offerValues);
  document.addEventListener(THEME_CHANGED, () => plots?.recolour());
  document.addEventListener(ZONE_CHANGED, () => plots?.recolour());
  document.addEventListener("mouseover", onHover);
  window.addEventListener("popstate", () => void go(location.href, false));
  void draw();
  window.setInterval(() => {
    if (!find('[data-live-page="slow"]')) void refresh();
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
  zoomTimer = window.setTimeout(() => history.replaceState(null, "", url), 50);
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
      if (cell) cell.textContent = numberLabel(data.series[line]?.[field][i]);
    }
  }
}

function onHover(event: Event): void {
  const row = (event.target as Element).closest?.<HTMLElement>("[data-line]");
  plots?.highlight(row ? Number(row.dataset.line) : null);
}

function onKey(event: KeyboardEvent): void {
  if (!(event.target as Element).closest?.("[data-plot]")) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    plots?.step((event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 12 : 1));
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
    const box = find<HTMLInputElement>("[data-add-filter] input[name=value]");
    if (box) box.value = "";
    find("#values")?.replaceChildren();
  }
}

function formAddress(form: HTMLFormElement): string {
  const pairs = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
  return `${form.action}?${new URLSearchParams(pairs).toString()}`;
}

/** The shortest address of what the form says: what is the default is left out, so that it can follow new data. */
function viewAddress(form: HTMLFormElement): string {
  const custom = new FormData(form).get("range") === "custom";
  const boxes = [...document.querySelectorAll<HTMLInputElement>('input[type="checkbox"][name="series"]')];
  const usual = boxes.every((box) => box.checked === "default" in box.dataset) || !boxes.some((box) => box.checked);
  const pairs = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const input = form.querySelector<HTMLInputElement>(`input[name="${CSS.escape(name)}"]:checked`);
    const skipped =
      !value ||
      (input?.type === "radio" && "default" in input.dataset) ||
      (!custom && (name === "start" || name === "end")) ||
      (name === "series" && usual);
    if (!skipped) pairs.append(name, String(value));
  }
  const text = pairs.toString();
  return text ? `${form.action}?${text}` : form.action;
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
  const link = target.closest<HTMLAnchorElement>("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  void go(link.href, true);
}

// ---- fetching

async function fetchPage(address: string, headers: Record<string, string> = {}): Promise<[Response, Document] | null> {
  fetching?.abort();
  fetching = new AbortController();
  try {
    const answer = await fetch(address, {
      headers: { accept: "text/html", ...headers },
      cache: "no-store",
      signal: fetching.signal,
    });
    if (answer.status === 304) return [answer, document];
    return [answer, new DOMParser().parseFromString(await answer.text(), "text/html")];
  } catch (error) {
    if ((error as Error).name !== "AbortError") live(false);
    return null;
  }
}

/** Show the page of another address, without losing focus or scroll position. */
async function go(address: string, push: boolean): Promise<void> {
  document.body.setAttribute("aria-busy", "true");
  const found = await fetchPage(address);
  if (!found) return;
  const [answer, page] = found;
  document.body.removeAttribute("aria-busy");
  if (push) history.pushState(null, "", answer.url);
  const focus = focusPath();
  swap("main", page);
  swap(".selectors", page);
  document.title = page.title;
  tag = answer.headers.get("etag") ?? "";
  restoreFocus(focus);
  void draw();
  live(answer.ok);
}

/** The same page with newer numbers; what the reader is doing (zoom, focus, scrolling) stays. */
async function refresh(): Promise<void> {
  if (document.hidden || document.body.hasAttribute("aria-busy") || !find("[data-view], [data-live-page]")) return;
  const found = await fetchPage(location.href, tag ? { "if-none-match": tag } : {});
  if (!found) return;
  const [answer, page] = found;
  if (answer.status !== 304 && answer.ok) {
    tag = answer.headers.get("etag") ?? "";
    swap("[data-history]", page);
    swap("[data-trouble]", page);
    if (find("[data-live-page]")) takePage(page);
    else takeNumbers(page);
  }
  live(answer.ok || answer.status === 304);
}

/** A page is replaced whole or, where it has a form, in its live parts; not while the reader is selecting text. */
function takePage(page: Document): void {
  if (getSelection()?.toString()) return;
  const parts = livePartsOf(document);
  if (parts.length && parts.join() === livePartsOf(page).join()) {
    for (const part of parts) takePart(part, page);
    return;
  }
  const focus = focusPath();
  document.title = page.title;
  swap("main", page);
  swap(".selectors", page);
  restoreFocus(focus);
}

function livePartsOf(page: Document): string[] {
  return [...page.querySelectorAll<HTMLElement>("[data-live-part]")].map((part) => part.dataset.livePart ?? "");
}

function takePart(name: string, page: Document): void {
  const selector = `[data-live-part="${CSS.escape(name)}"]`;
  const now = find(selector);
  const focus = now?.contains(document.activeElement) ? focusPath() : "";
  swap(selector, page);
  restoreFocus(focus);
}

function takeNumbers(page: Document): void {
  const next = readChartData(page);
  const labels = (of: ChartData | null): string => of?.series.map((series) => series.key).join("\n") ?? "";
  const focus = focusPath();
  if (!next || !data || !plots || labels(next) !== labels(data) || next.per_title !== data.per_title) {
    swap("main", page);
    restoreFocus(focus);
    void draw();
    return;
  }
  for (const part of ["[data-lines]", "section.numbers", "#chart-data"]) swap(part, page);
  restoreFocus(focus);
  data = next;
  plots.update(next);
  showValues(null);
}

/** What the server sent of a part; scripts have changed what stands there. */
const served = new Map<string, string>();

function swap(selector: string, page: Document): void {
  const now = document.querySelector(selector);
  const then = page.querySelector(selector);
  if (!now || !then || now.isEqualNode(then) || served.get(selector) === then.outerHTML) return;
  served.set(selector, then.outerHTML);
  const scrolled = [...now.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop] as const);
  const open = [...now.querySelectorAll<HTMLDetailsElement>("details[open]")].map(detailsKey);
  for (const one of then.querySelectorAll<HTMLDetailsElement>("details")) {
    if (open.includes(detailsKey(one))) one.open = true;
  }
  now.replaceWith(then);
  keepUp(then);
  then.querySelectorAll(".scroll").forEach((box, i) => {
    [box.scrollLeft, box.scrollTop] = scrolled[i] ?? [0, 0];
  });
}

/** What opens is known by its name, or by what its summary says. */
function detailsKey(one: HTMLDetailsElement): string {
  return one.dataset.sample ?? (one.id || `says ${one.querySelector("summary")?.textContent?.trim() ?? ""}`);
}

function focusPath(): string {
  const element = document.activeElement;
  if (!element || element === document.body) return "";
  const name = element.getAttribute("name");
  const value = element.getAttribute("value");
  if (element instanceof HTMLInputElement && (element.type === "radio" || element.type === "checkbox")) {
    return `[type="${element.type}"][name="${CSS.escape(name ?? "")}"][value="${CSS.escape(value ?? "")}"]`;
  }
  if (name) return `${element.tagName.toLowerCase()}[name="${CSS.escape(name)}"]`;
  const href = element.getAttribute("href");
  if (href) return `a[href="${CSS.escape(href)}"]`;
  const sample = element.closest<HTMLElement>("details[data-sample]")?.dataset.sample;
  if (sample) return `details[data-sample="${CSS.escape(sample)}"] summary`;
  const plot = (element as HTMLElement).dataset.plot;
  return plot ? `[data-plot="${plot}"]` : "";
}

function restoreFocus(path: string): void {
  if (path && !(document.activeElement as HTMLElement | null)?.matches(path)) {
    find(path)?.focus({ preventScroll: true });
  }
}

function live(fine: boolean): void {
  const sign = find("[data-live]");
  if (!sign) return;
  sign.textContent = fine ? "live" : "server not reached, trying again";
  sign.classList.toggle("lost", !fine);
}

// ---- values of a dimension, for the filter

async function offerValues(event: FocusEvent): Promise<void> {
  const box = event.target as HTMLInputElement;
  const form = box.form;
  const list = find<HTMLDataListElement>("#values");
  if (box.name !== "value" || !form?.matches("[data-add-filter]") || !list || list.childElementCount) return;
  const dimension = String(new FormData(form).get("filter"));
  const query = new URLSearchParams([["dimension", dimension], ...scope(form)]);
  try {
    const answer = await fetch(`/api/v1/values?${query.toString()}`);
    const found = (await answer.json()) as { values?: string[]; has_null?: boolean };
    const options = (found.values ?? []).map((value) => new Option(value, value));
    list.append(...options, ...(found.has_null ? [new Option("unknown", "~")] : []));
  } catch {
    live(false); // the box still takes any text
  }
}

function scope(form: HTMLFormElement): [string, string][] {
  const { application, channel } = form.dataset;
  const pairs: [string, string][] = [];
  if (application) pairs.push(["application", application]);
  if (channel) pairs.push(["channel", channel]);
  return pairs;
}
