// How a number was computed opens without scripts; here it comes into the window, and Escape closes it.

const MARGIN = 14;

function within(part: HTMLDetailsElement): void {
  const box = part.querySelector<HTMLElement>(":scope > div");
  if (!part.open || !box) return;
  box.style.marginLeft = "";
  const over = box.getBoundingClientRect().right - (document.documentElement.clientWidth - MARGIN);
  if (over > 0) box.style.marginLeft = `${-Math.ceil(over)}px`;
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
}

export function startComputed(): void {
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
