// The form that makes days again: the command line below it follows what is chosen.

export function startMakeForm(): void {
  document.addEventListener("input", (event) => {
    const form = (event.target as HTMLInputElement).form;
    const command = document.querySelector("[data-command]");
    if (form?.matches("[data-make]") && command) command.textContent = commandOf(new FormData(form));
  });
}

function commandOf(chosen: FormData): string {
  const { first, last, table, rules } = Object.fromEntries([...chosen].map(([name, value]) => [name, String(value)]));
  const ofCrashes = table === "crash_aggregates" || table === "all";
  return [
    "missioncontrol backfill",
    table === "crash_aggregates" ? "" : `--table ${table}`,
    first ? `--min-submission-date ${first}` : "",
    last ? `--max-submission-date ${last}` : "",
    ofCrashes && rules !== "default" ? `--rules ${rules}` : "",
  ]
    .filter(Boolean)
    .join(" ");
}
