// Columns of the answer are sorted by their heads: up, down, as it came.

const NUMBER = /^-?(\d|\.\d|inf)/;

/** Make a button of each head of the table. */
export function makeSortable(table: HTMLTableElement): void {
  const body = table.tBodies[0];
  if (!body) return;
  const came = [...body.rows];
  [...(table.tHead?.rows[0]?.cells ?? [])].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"] ?? "none";
      for (const other of table.tHead?.rows[0]?.cells ?? []) other.removeAttribute("aria-sort");
      if (next !== "none") head.setAttribute("aria-sort", next);
      body.replaceChildren(...(next === "none" ? came : sorted(came, column, next === "descending")));
    });
  });
}

function sorted(rows: HTMLTableRowElement[], column: number, down: boolean): HTMLTableRowElement[] {
  const keyed = rows.map((row) => ({ row, cell: row.cells[column]! }));
  const text = (cell: HTMLElement): string => cell.title || (cell.textContent ?? "");
  const known = keyed.filter(({ cell }) => !("null" in cell.dataset));
  const numeric = known.every(({ cell }) => cell.classList.contains("n") && NUMBER.test(text(cell)));
  known.sort((a, b) => {
    const order = numeric ? Number(text(a.cell)) - Number(text(b.cell)) : text(a.cell).localeCompare(text(b.cell));
    return down ? -order : order;
  });
  // What is not known is neither large nor small: it comes last either way.
  return [...known, ...keyed.filter(({ cell }) => "null" in cell.dataset)].map(({ row }) => row);
}
