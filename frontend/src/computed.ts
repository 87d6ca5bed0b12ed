// How a number was computed opens without scripts; here it comes into the window, and Escape closes it.

const MARGIN = 14;
let pressed: Element | null = null;

function within(part: HTMLDetailsElement): void {
  const box = part.querySelector<HTMLElement>(":scope > div");
  if (!part.open || !box) return;
  box.style.marginLeft = "";
  const over = box.getBoundingClientRect().right - (document.documentElement.clientWidth - MARGIN);
  if (over > 0) box.style.marginLeft = `${-Math.ceil(over)}px`;
  // Only for whoever opened it: a page that is brought up to date opens again what was open, and stays where it is.
  if (pressed === part) box.scrollIntoView({ block: "nearest", inline: "nearest" });
  pressed = null;
}

export function startComputed(): void {
  document.addEventListener("click", ({ target }) => {
    pressed = target instanceof Element ? target.closest(".computed > summary")?.parentElement ?? null : null;
  }, true);
  document.addEventListener("toggle", ({ target }) => {
    if (target instanceof HTMLDetailsElement && target.matches(".computed")) within(target);
  }, true);
  document.addEventListener("keydown", ({ key, target }) => {
    const part = key === "Escape" && target instanceof Element ? target.closest<HTMLDetailsElement>(".computed[open]") : null;
    if (!part) return;
    part.open = false;
    part.querySelector("summary")?.focus();
  });
}
