// Parts of a page that take the place of those that are shown, without losing focus or scroll position.

import { keepUp } from "./upkeep";
import { clockText } from "./zone";

export const find = <T extends Element = HTMLElement>(selector: string): T | null => document.querySelector<T>(selector);

/** What the server sent of a part; scripts have changed what stands there. */
const served = new Map<string, string>();

export function swap(selector: string, page: Document): void {
  const now = document.querySelector(selector);
  const then = page.querySelector(selector);
  if (!now || !then || now.isEqualNode(then) || served.get(selector) === then.outerHTML) return;
  served.set(selector, then.outerHTML);
  const scrolled = [...now.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop] as const);
  const focus = focusIn(now);
  const open = [...now.querySelectorAll<HTMLDetailsElement>("details[open]")].map(detailsKey);
  for (const one of then.querySelectorAll<HTMLDetailsElement>("details")) {
    if (open.includes(detailsKey(one))) one.open = true;
  }
  now.replaceWith(then);
  keepUp(then);
  then.querySelectorAll(".scroll").forEach((box, i) => {
    [box.scrollLeft, box.scrollTop] = scrolled[i] ?? [0, 0];
  });
  if (!focus) return;
  const alike = [...then.querySelectorAll<HTMLElement>(focus.selector)];
  (alike[focus.at] ?? alike.at(-1))?.focus({ preventScroll: true });
}

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** What was typed or chosen and not sent stays, whatever takes the place of its form. */
export function keepTyped(change: () => void): void {
  const typed = new Map<string, { value: string; start: number | null; end: number | null }>();
  const fields = (): Field[] => [...document.querySelectorAll<Field>("main form :is(input, textarea, select)[name]")];
  const key = (field: Field): string => `${field.form?.action} ${field.form?.method} ${field.name} ${field.type}`;
  const isText = (field: Field): boolean => !["radio", "checkbox", "hidden", "file"].includes(field.type);
  for (const field of fields().filter(isText)) {
    const place = field instanceof HTMLSelectElement || !["text", "search"].includes(field.type) ? null : field;
    if (field.value !== initialOf(field)) {
      typed.set(key(field), { value: field.value, start: place?.selectionStart ?? null, end: place?.selectionEnd ?? null });
    }
  }
  change();
  for (const field of fields().filter(isText)) {
    const was = typed.get(key(field));
    if (!was || field.value === was.value) continue;
    field.value = was.value;
    if (was.start !== null && !(field instanceof HTMLSelectElement)) field.setSelectionRange(was.start, was.end);
  }
}

function initialOf(field: Field): string {
  if (!(field instanceof HTMLSelectElement)) return field.defaultValue;
  return (field.querySelector<HTMLOptionElement>("option[selected]") ?? field.options[0])?.value ?? "";
}

/** What opens is known by its name, or by what its summary says. */
function detailsKey(one: HTMLDetailsElement): string {
  return one.dataset.sample ?? (one.id || `says ${one.querySelector("summary")?.textContent?.trim() ?? ""}`);
}

/** Which of its parts has the focus: the `at`-th of those that a selector fits. */
function focusIn(part: Element): { selector: string; at: number } | null {
  const element = document.activeElement;
  if (!(element instanceof HTMLElement) || element === part || !part.contains(element)) return null;
  const selector = selectorOf(element);
  return { selector, at: [...part.querySelectorAll(selector)].indexOf(element) };
}

/** What tells an element from others in a newer page: what it is about, rather than where it stands. */
function selectorOf(element: HTMLElement): string {
  const named = (name: string): string => {
    const value = element.getAttribute(name);
    return value === null ? "" : `[${name}="${CSS.escape(value)}"]`;
  };
  const tag = element.localName;
  if (element instanceof HTMLInputElement && (element.type === "radio" || element.type === "checkbox")) {
    return tag + named("type") + named("name") + named("value");
  }
  const sample = tag === "summary" ? element.closest<HTMLElement>("details[data-sample]")?.dataset.sample : undefined;
  if (sample) return `details[data-sample="${CSS.escape(sample)}"] > summary`;
  for (const name of ["id", "name", "href", "data-plot", "aria-label"]) if (element.getAttribute(name)) return tag + named(name);
  return tag;
}

/** When the server was lost; what is shown is as it was then. */
let lostAt: Date | null = null;

export const isLost = (): boolean => lostAt !== null;

/** How the page stands to the server: null is fine, else what is wrong. A page without a sign says it in a line. */
export function live(trouble: string | null): void {
  lostAt = trouble === NOT_REACHED ? (lostAt ?? new Date()) : null;
  const sign = find("[data-live]");
  const notice = find("[data-lost]");
  const said = lostAt
    ? `The server is not reached since ${clockText(lostAt)}; trying again. What is shown is of before.`
    : sign ? "" : (trouble ?? "");
  if (notice && notice.textContent !== said) notice.textContent = said; // said once
  if (!sign) return;
  sign.textContent = trouble ?? "live";
  sign.classList.toggle("lost", trouble !== null);
}

export const NOT_REACHED = "server not reached, trying again";

/** What an answer says of it: a measure can be removed while its page is open. */
export function troubleOf(answer: Response): string | null {
  if (answer.ok || answer.status === 304) return null;
  return answer.status >= 500 ? NOT_REACHED : "the server refuses this view now: reload to see why";
}
