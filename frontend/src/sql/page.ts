// The page of SQL: the form is sent without leaving the page, and its answer swapped in.

import "./page.css";
import { startEditor, type Editor } from "./editor";

const PARAMETER = /\{\{\s*([A-Za-z_]\w{0,39})\s*(?::\s*(text|number|date)\s*)?\}\}/g;
// An entry of its own: what it shared with the other would be one more file on every page.
const find = <T extends Element = HTMLElement>(selector: string): T | null => document.querySelector<T>(selector);
let editor: Editor | null = null;
let running: { id: string; ticker: number } | null = null;

function start(): void {
  const form = find<HTMLFormElement>("form[data-sql]");
  const area = form?.querySelector<HTMLTextAreaElement>("textarea");
  if (!form || !area) return;
  editor = startEditor(area, () => void run(form), () => offerParameters(area.value));
  form.addEventListener("submit", (event) => {
    const action = (event.submitter as HTMLButtonElement | null)?.getAttribute("formaction");
    if (action) {
      setRun(form, newId());
      return; // saving and downloads are left to the browser
    }
    event.preventDefault();
    void run(form);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
    event.preventDefault();
    if (event.target.name === "name") form.requestSubmit(form.querySelector<HTMLElement>("[formaction='/sql/saved']"));
    else void run(form);
  });
  find("[data-stop]")?.addEventListener("click", () => void stop());
  window.addEventListener("pagehide", () => {
    if (running) navigator.sendBeacon("/sql/stop", new URLSearchParams({ run: running.id }));
  });
  startTables();
  showResult();
}

function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function setRun(form: HTMLFormElement, id: string): void {
  const field = form.elements.namedItem("run");
  if (field instanceof HTMLInputElement) field.value = id;
}

async function run(form: HTMLFormElement): Promise<void> {
  if (running) return;
  const id = newId();
  setRun(form, id);
  const began = performance.now();
  const said = find("[data-running]");
  // The clock is for eyes: read aloud every second it would drown everything else.
  const clock = document.createElement("span");
  clock.setAttribute("aria-hidden", "true");
  said?.replaceChildren("Running", clock);
  const tick = (): void => {
    clock.textContent = ` for ${Math.round((performance.now() - began) / 1000)} s of ${said?.dataset.limit} s`;
  };
  running = { id, ticker: window.setInterval(tick, 1000) };
  tick();
  toggle(true);
  try {
    const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } });
    const taken = take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (said) said.textContent = taken ? (find("#result-head")?.textContent ?? "") : `Refused (${answer.status}). Your query is still here: if you were signed out, sign in in another tab.`;
  } catch {
    if (said) said.textContent = "The server did not answer. Your query is still here: try again.";
  } finally {
    window.clearInterval(running?.ticker);
    running = null;
    toggle(false);
  }
}

/** Of the page only what the server said of this query is taken; false: it is another page, which refuses. */
function take(page: Document): boolean {
  if (!page.querySelector("[data-result]")) return false;
  for (const part of ["[data-result]", "[data-kept]"]) {
    const [now, then] = [find(part), page.querySelector(part)];
    if (now && then) now.replaceWith(then);
  }
  const link = find<HTMLAnchorElement>("[data-permalink]");
  if (link) history.replaceState(null, "", link.href);
  showResult();
  return true;
}

async function stop(): Promise<void> {
  if (!running) return;
  let trouble: string;
  try {
    const answer = await fetch("/sql/stop", { method: "POST", body: new URLSearchParams({ run: running.id }), redirect: "manual" });
    if (answer.type === "opaqueredirect") return;
    trouble = answer.status === 404 ? "It has ended already." : `Not stopped: refused (${answer.status}).`;
  } catch {
    trouble = "Not stopped: the server did not answer. Try again.";
  }
  const said = find("[data-running]");
  if (said) said.textContent = trouble;
}

function toggle(runs: boolean): void {
  const [begin, end] = [find<HTMLButtonElement>("[data-run]"), find<HTMLButtonElement>("[data-stop]")];
  if (begin) begin.disabled = runs;
  if (end) end.hidden = !runs;
}

function showResult(): void {
  const { line, column } = find("#sql-error")?.dataset ?? {};
  if (line && column) editor?.mark(Number(line), Number(column));
}

/** A field for each parameter in the text; what was typed into one stays. */
function offerParameters(query: string): void {
  const box = find("[data-parameters]");
  if (!box) return;
  const wanted = new Map<string, string>();
  for (const [, name = "", kind] of query.matchAll(PARAMETER)) wanted.set(name, kind ?? wanted.get(name) ?? "text");
  const shown = [...box.querySelectorAll<HTMLInputElement>("input")].map((input) => input.name.slice(2));
  if (shown.join() === [...wanted.keys()].join()) return;
  const typed = new Map([...box.querySelectorAll<HTMLInputElement>("input")].map((input) => [input.name, input.value]));
  box.replaceChildren(
    ...[...wanted].map(([name, kind]) => {
      const label = document.createElement("label");
      label.className = "field";
      const input = document.createElement("input");
      input.name = `p_${name}`;
      input.size = 12;
      input.value = typed.get(input.name) ?? "";
      label.append(name, kind === "text" ? " " : ` (${kind}) `, input);
      return label;
    }),
  );
}

/** The list of tables: a field that filters it, and names that go into the query. */
function startTables(): void {
  const filter = find<HTMLInputElement>("[data-table-filter]");
  filter?.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const table of document.querySelectorAll<HTMLDetailsElement>("[data-table]")) {
      const named = (table.dataset.table ?? "").includes(wanted);
      let some = false;
      for (const column of table.querySelectorAll<HTMLElement>("[data-column]")) {
        const fits = (column.dataset.column ?? "").toLowerCase().includes(wanted);
        column.hidden = !fits && !named;
        some ||= fits;
      }
      table.hidden = !named && !some;
      table.open = wanted.length > 1 && some;
    }
  });
  for (const name of document.querySelectorAll<HTMLElement>("[data-column] dt > code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "insert";
    button.title = "Put it into the query";
    name.replaceWith(button);
    button.append(name);
    button.addEventListener("click", () => editor?.insert(name.textContent ?? ""));
  }
}

start();
