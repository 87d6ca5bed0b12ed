// Parts of a page that take the place of those that are shown, without losing focus or scroll position.

import { keepUp } from "./upkeep";

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

/** How the page stands to the server: null is fine, else what is wrong. A page without a sign gets a line while it is. */
export function live(trouble: string | null): void {
  const sign = find("[data-live]");
  if (!sign) return note(trouble);
  note(null);
  sign.textContent = trouble ?? "live";
  sign.classList.toggle("lost", trouble !== null);
}

function note(trouble: string | null): void {
  let line = find("[data-unreached]");
  if (trouble === null) return line?.remove();
  if (!line) {
    line = document.createElement("p");
    line.className = "notice";
    line.dataset.unreached = "";
    line.setAttribute("role", "status");
    find("main")?.before(line);
  }
  if (line.textContent !== trouble) line.textContent = trouble; // said once
}

export const NOT_REACHED = "server not reached, trying again";

/** What an answer says of it: a measure can be removed while its page is open. */
export function troubleOf(answer: Response): string | null {
  if (answer.ok || answer.status === 304) return null;
  return answer.status >= 500 ? NOT_REACHED : "the server refuses this view now: reload to see why";
}
