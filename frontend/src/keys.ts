// Keys: `?` lists them. Nothing happens while somebody types, nor after they were switched off, nor with Ctrl, Alt or
// Meta held, which are the browser's.

import { find } from "./swap";
import { exportTable, stepRow } from "./tables";
import { toggleZone } from "./zone";

const OFF = "keys-off";
const GO_MS = 1500;
let going = 0;

function typing(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input:not([type=checkbox], [type=radio], [type=button]), textarea, select");
}

function off(): boolean {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false; // storage that is forbidden keeps nothing
  }
}

function setOff(is: boolean): void {
  try {
    if (is) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    return;
  }
}

const ACTIONS: Record<string, () => void> = {
  "/": () => find<HTMLInputElement>("#find")?.focus(),
  "?": () => openKeys(),
  t: () => find("[data-theme-toggle]")?.click(),
  z: toggleZone,
  x: exportTable,
  j: () => stepRow(1),
  k: () => stepRow(-1),
};

function openKeys(): void {
  find<HTMLDialogElement>("dialog#keys")?.showModal();
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat && event.key !== "j" && event.key !== "k") return;
  if (event.key === "Escape") closeMenu();
  if (off() || typing(event) || find("dialog[open]")) return;
  if (Date.now() - going < GO_MS) {
    going = 0;
    const link = find<HTMLAnchorElement>(`.bar a[data-key="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      location.assign(link.href);
    }
    return;
  }
  if (event.key === "g") {
    going = Date.now();
    return;
  }
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** Whoever was in it is where it opens again. */
function closeMenu(): void {
  const menu = openMenu();
  if (!menu) return;
  if (menu.contains(document.activeElement)) menu.querySelector("summary")?.focus();
  menu.open = false;
}

function openMenu(): HTMLDetailsElement | null {
  return find<HTMLDetailsElement>("details[data-menu][open]");
}

/** The list of pages is that of the bar, so that it never says anything else. */
function listPages(): void {
  const list = find("[data-keys-list]");
  for (const link of document.querySelectorAll<HTMLElement>(".bar a[data-key]")) {
    const row = document.createElement("div");
    const [keys, says] = [document.createElement("dt"), document.createElement("dd")];
    for (const key of ["g", link.dataset.key ?? ""]) {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      keys.append(cap, " ");
    }
    says.textContent = link.matches(".home") ? "Home" : (link.firstChild?.textContent ?? "").trim();
    row.append(keys, says);
    list?.append(row);
  }
}

export function startKeys(): void {
  const button = find<HTMLButtonElement>("[data-keys]");
  const dialog = find<HTMLDialogElement>("dialog#keys");
  const box = find<HTMLInputElement>("[data-keys-on]");
  if (!button || !dialog || !box) return;
  listPages();
  button.hidden = false;
  button.addEventListener("click", openKeys);
  box.checked = !off();
  box.addEventListener("change", () => setOff(!box.checked));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const menu = openMenu();
    if (menu && !menu.contains(event.target as Node)) menu.open = false;
  });
  document.addEventListener("focusin", (event) => {
    const menu = openMenu();
    if (menu && !menu.contains(event.target as Node)) menu.open = false;
  });
}
