// Every table of data sorts by its heads (up, down, as it came) and can be downloaded as the page shows it. What was
// chosen stays when newer rows come.

const NUMBER = /^(?:[<>≥≤~+−-]|under |up to |over )?\s*(\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*([^\s\d]*)/i;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const UNITS: Record<string, number> = {
  kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, min: 60, h: 3600, d: 86400, day: 86400, days: 86400, ms: 1e-3,
};
/** A figure and nothing else, which a sheet may take for one. */
const FIGURE = /^[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?: ?[%×])?$/i;
const HOW = ".computed";
const ACTS = "svg, button, a, input";
const NOTHING = new Set(["", "–", "null"]);

type Order = "ascending" | "descending";
interface Chosen {
  column: number;
  order: Order;
}

const chosen = new Map<string, Chosen>();
const came = new WeakMap<HTMLTableSectionElement, HTMLTableRowElement[]>();

/** Make the tables below an element sort and download; those that do already are left alone. */
export function keepTables(root: ParentNode): void {
  const tables = [...root.querySelectorAll<HTMLTableElement>("main table")];
  if (root instanceof HTMLTableElement) tables.push(root);
  for (const table of tables) {
    const body = table.tBodies[0];
    if (!body || !table.tHead || came.has(body)) continue;
    came.set(body, [...body.rows]);
    if (table.tBodies.length === 1 && body.rows.length > 1) makeSortable(table, body);
    if (body.rows.length > 1 && table.classList.contains("dense")) offerDownload(table);
  }
}

/** What a table is called: the same after newer rows came. */
function keyOf(table: HTMLTableElement): string {
  const label = table.closest("[role=region]")?.getAttribute("aria-label") ?? table.className;
  const alike = [...document.querySelectorAll("main table")].filter((one) => one.className === table.className);
  return `${location.pathname} ${label} ${alike.indexOf(table)}`;
}

/** The cells of the rows of heads, each at every column and row that it spans. */
function headGrid(table: HTMLTableElement): (HTMLTableCellElement | undefined)[][] {
  const rows = [...(table.tHead?.rows ?? [])];
  const grid: (HTMLTableCellElement | undefined)[][] = rows.map(() => []);
  rows.forEach((row, y) => {
    let x = 0;
    for (const cell of row.cells) {
      while (grid[y]?.[x]) x++;
      for (let dy = 0; dy < cell.rowSpan && y + dy < rows.length; dy++) {
        for (let dx = 0; dx < cell.colSpan; dx++) grid[y + dy]![x + dx] = cell;
      }
      x += cell.colSpan;
    }
  });
  return grid;
}

/** The head of each column: of several rows of heads the lowest that is of this column alone. */
function headsOf(table: HTMLTableElement): (HTMLTableCellElement | null)[] {
  return (headGrid(table).at(-1) ?? []).map((cell) => (cell && cell.colSpan === 1 ? cell : null));
}

/** What each column is called in a file: all heads above it, from the top. */
function columnNames(table: HTMLTableElement): string[] {
  const grid = headGrid(table);
  return (grid.at(-1) ?? []).map((_, x) => [...new Set(grid.map((row) => row[x] ?? null))].map(shownIn).filter(Boolean).join(" "));
}

function makeSortable(table: HTMLTableElement, body: HTMLTableSectionElement): void {
  if ([...body.rows].some((row) => [...row.cells].some((cell) => cell.rowSpan > 1))) return;
  const key = keyOf(table);
  headsOf(table).forEach((head, column) => {
    if (!head || "noSort" in head.dataset) return;
    // How its numbers were computed opens by itself: it is no part of what sorts.
    const parts = [...head.childNodes].filter((part) => !(part instanceof Element && part.matches(HOW)));
    if (!parts.some((part) => part.textContent?.trim()) || parts.some((part) => part instanceof Element && (part.matches(ACTS) || part.querySelector(ACTS)))) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.name = `sort ${key} ${column}`; // finds its focus again after a live update
    button.append(...parts);
    head.prepend(button);
    button.addEventListener("click", () => {
      const now = chosen.get(key);
      const order = now?.column !== column ? "ascending" : now.order === "ascending" ? "descending" : null;
      if (order) chosen.set(key, { column, order });
      else chosen.delete(key);
      show(table, body, key);
    });
  });
  if (chosen.has(key)) show(table, body, key);
}

function show(table: HTMLTableElement, body: HTMLTableSectionElement, key: string): void {
  const now = chosen.get(key);
  headsOf(table).forEach((head, column) => {
    if (head && now?.column === column) head.setAttribute("aria-sort", now.order);
    else head?.removeAttribute("aria-sort");
  });
  const rows = came.get(body) ?? [];
  const focused = document.activeElement instanceof HTMLElement && body.contains(document.activeElement) ? document.activeElement : null;
  body.replaceChildren(...(now ? sorted(rows, now) : rows));
  focused?.focus({ preventScroll: true });
}

function textOf(cell: HTMLTableCellElement): string {
  const { sort } = cell.dataset;
  if (sort !== undefined) return sort;
  return cell.querySelector("time")?.dateTime || (cell.textContent ?? "").trim().replace(/\s+/g, " ");
}

/** `1,234`, `1.5 kB`, `12.3 %`, `1.62×`, `10¹²`, `up to 2.05×` as numbers; null: it is none. */
function numberOf(text: string): number | null {
  const power = /^10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)$/.exec(text)?.[1];
  if (power) return 10 ** Number([...power].map((digit) => RAISED.indexOf(digit)).join(""));
  const found = NUMBER.exec(text);
  if (!found?.[1]) return null;
  const value = Number(found[1].replaceAll(",", "")) * (UNITS[found[2] ?? ""] ?? 1);
  return /^[−-]/.test(text) ? -value : value;
}

function sorted(rows: HTMLTableRowElement[], { column, order }: Chosen): HTMLTableRowElement[] {
  const keyed = rows.map((row) => {
    const cell = row.cells[column];
    const text = cell ? textOf(cell) : "";
    const known = cell !== undefined && !("null" in cell.dataset) && !NOTHING.has(text);
    return { row, text, known, figure: cell?.classList.contains("n") || cell?.dataset.sort !== undefined };
  });
  const known = keyed.filter((one) => one.known);
  const numbers = new Map(known.map((one) => [one, numberOf(one.text)]));
  const numeric = known.every((one) => one.figure && numbers.get(one) !== null);
  known.sort((a, b) => {
    const by = numeric ? numbers.get(a)! - numbers.get(b)! : a.text.localeCompare(b.text, "en", { numeric: true });
    return order === "descending" ? -by : by;
  });
  // What is not known is neither large nor small: it comes last either way.
  return [...known, ...keyed.filter((one) => !one.known)].map((one) => one.row);
}

// ---- downloads

function offerDownload(table: HTMLTableElement): void {
  const box = table.closest(".scroll") ?? table;
  if (box.nextElementSibling?.matches(".table-tools") || "noExport" in table.dataset) return;
  const tools = document.createElement("p");
  tools.className = "table-tools";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.name = `csv ${keyOf(table)}`;
  button.textContent = "CSV";
  const label = table.closest("[role=region]")?.getAttribute("aria-label") ?? table.closest("section")?.querySelector("h2")?.textContent;
  button.setAttribute("aria-label", `CSV of ${label?.trim() || "this table"}`);
  button.addEventListener("click", () => download(table));
  tools.append(button);
  box.after(tools);
}

/** What the page shows, in the order in which it does. */
function download(table: HTMLTableElement): void {
  const rows = [columnNames(table), ...[...table.tBodies].flatMap((body) => [...body.rows].map((row) => [...row.cells].map(shownIn)))];
  const text = rows.map((row) => row.map(quoted).join(",")).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv;charset=utf-8" }));
  link.download = `${location.pathname.split("/").filter(Boolean).join("-") || "home"}.csv`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function shownIn(cell: HTMLTableCellElement | null): string {
  if (!cell) return "";
  const copy = cell.cloneNode(true) as HTMLElement;
  for (const part of copy.querySelectorAll(`svg, button.copy, form, ${HOW}, [aria-hidden=true]`)) part.remove();
  for (const time of copy.querySelectorAll("time")) time.textContent = time.dateTime || time.textContent;
  for (const part of copy.querySelectorAll("small.block, br")) part.before(" ");
  const text = (copy.textContent ?? "").trim().replace(/\s+/g, " ");
  if (NOTHING.has(text)) return "";
  return cell.classList.contains("n") && /^-?\d[\d,]*(\.\d+)?$/.test(text) ? text.replaceAll(",", "") : text;
}

/** A sheet would run what begins as a formula does. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !FIGURE.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The table that keys are about: the one that has the focus, else the first with rows. */
function mainTable(): HTMLTableElement | null {
  const focused = document.activeElement?.closest<HTMLTableElement>("main table");
  return focused ?? [...document.querySelectorAll<HTMLTableElement>("main table")].find((one) => one.tBodies[0]?.rows.length && one.getClientRects().length) ?? null;
}

/** The page's own file where it has one, else the table as it is shown. */
export function exportTable(): void {
  const twin = document.querySelector<HTMLAnchorElement>('main a[href*="format=csv"]');
  if (twin) twin.click();
  else if (mainTable()) download(mainTable()!);
}

/** Move the focus to the next or previous row: to its first link, or to the row. */
export function stepRow(by: 1 | -1): void {
  const table = mainTable();
  const rows = [...(table?.tBodies ?? [])].flatMap((body) => [...body.rows]).filter((row) => row.getClientRects().length);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))]!;
  const target = row.querySelector<HTMLElement>("a[href], summary, button") ?? row;
  if (target === row) row.tabIndex = -1;
  target.focus();
  row.scrollIntoView({ block: "nearest" });
}
