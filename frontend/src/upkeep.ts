// What scripts add to a page, added again wherever a part of it is replaced by a newer one.

import { addCopyButtons } from "./copy";
import { keepTables } from "./tables";
import { applyZone } from "./zone";

/** Copy buttons, times in the chosen zone, heads that sort, downloads. */
export function keepUp(root: ParentNode = document): void {
  addCopyButtons(root);
  applyZone(root);
  keepTables(document);
}

/** Also where another script replaces something; what is kept up already is left as it is. */
export function startUpkeep(): void {
  keepUp();
  new MutationObserver((changes) => {
    if (changes.some(({ addedNodes }) => [...addedNodes].some((node) => node instanceof Element && !node.matches(".copy, .table-tools, .sort, tr")))) keepUp();
  }).observe(document.body, { childList: true, subtree: true });
}
