// Values of a dimension, offered where a filter or a side of a comparison is typed.

import { find, live } from "./swap";

export async function offerValues(event: FocusEvent): Promise<void> {
  const box = event.target as HTMLInputElement;
  const form = box.form;
  const list = find<HTMLDataListElement>("#values");
  if (box.name !== "value" || !form?.matches("[data-add-filter]") || !list) return;
  const dimension = String(new FormData(form).get("filter"));
  if (list.dataset.of === dimension) return;
  list.dataset.of = dimension;
  list.replaceChildren();
  if (dimension === "start") return; // a date
  const query = new URLSearchParams([["dimension", dimension], ...scope(form, dimension)]);
  try {
    const answer = await fetch(`/api/v1/values?${query.toString()}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const found = (await answer.json()) as { values?: string[]; has_null?: boolean };
    const options = (found.values ?? []).map((value) => new Option(value, value));
    if (list.dataset.of !== dimension) return; // another was chosen meanwhile
    list.append(...options, ...(found.has_null ? [new Option("unknown", "~")] : []));
  } catch {
    if (list.dataset.of === dimension) delete list.dataset.of; // asked again when the box is chosen again
    live("no values to choose from now, any text is taken");
  }
}

function scope(form: HTMLFormElement, dimension: string): [string, string][] {
  const { application, channel } = form.dataset;
  const pairs: [string, string][] = [];
  if (application && !dimension.startsWith("experiment_")) pairs.push(["application", application]);
  if (channel) pairs.push(["channel", channel]);
  return pairs;
}
