// The form that makes days again: the command line below it follows what is chosen.

export function startMakeForm(): void {
  const shown = document.querySelector<HTMLFormElement>("form[data-make]");
  if (shown) offerRules(shown);
  document.addEventListener("input", (event) => {
    const form = (event.target as HTMLInputElement).form;
    if (!form?.matches("[data-make]")) return;
    offerRules(form);
    const command = document.querySelector("[data-command]");
    if (command) command.textContent = commandOf(new FormData(form));
  });
}

const ofCrashes = (table: string | undefined): boolean => table === "crash_aggregates" || table === "all";

/** A rule set says nothing of the other tables. */
function offerRules(form: HTMLFormElement): void {
  const [table, rules] = ["table", "rules"].map((name) => form.elements.namedItem(name) as HTMLSelectElement);
  if (table && rules) rules.disabled = !ofCrashes(table.value);
}

function commandOf(chosen: FormData): string {
  const { first, last, table, rules } = Object.fromEntries([...chosen].map(([name, value]) => [name, String(value)]));
  return [
    "missioncontrol backfill",
    table === "crash_aggregates" ? "" : `--table ${table}`,
    first ? `--min-submission-date ${first}` : "",
    last ? `--max-submission-date ${last}` : "",
    ofCrashes(table) && rules && rules !== "default" ? `--rules ${rules}` : "",
  ]
    .filter(Boolean)
    .join(" ");
}
