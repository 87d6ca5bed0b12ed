// Light, dark or as the system says. Kept in a cookie so that the server renders the right one.

type Theme = "" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { "": "light", light: "dark", dark: "" };
const LABEL: Record<Theme, string> = { "": "Auto", light: "Light", dark: "Dark" };
export const THEME_CHANGED = "themechanged";

function current(): Theme {
  const value = document.documentElement.dataset.theme;
  return value === "light" || value === "dark" ? value : "";
}

function announce(button: HTMLElement): void {
  button.textContent = LABEL[current()];
  button.setAttribute("aria-label", `Theme: ${LABEL[current()]}. Change it`);
}

export function startTheme(): void {
  const button = document.querySelector<HTMLElement>("[data-theme-toggle]");
  if (!button) return;
  button.hidden = false;
  announce(button);
  button.addEventListener("click", () => {
    const theme = NEXT[current()];
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.cookie = `theme=${theme}; path=/; max-age=${theme ? 31536000 : 0}; samesite=lax`;
    announce(button);
    document.dispatchEvent(new Event(THEME_CHANGED));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event(THEME_CHANGED));
  });
}
