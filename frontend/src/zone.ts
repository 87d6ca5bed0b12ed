// UTC, or the zone of the browser: kept in a cookie, applied to every <time> and to the axes of charts. The server
// always writes UTC, so a page is right before any script runs, and where none does.

export const ZONE_CHANGED = "zonechanged";
const OWN = Intl.DateTimeFormat().resolvedOptions().timeZone;

const two = (n: number): string => String(n).padStart(2, "0");
const inUtc = (): boolean => !/(?:^|; )tz=local(?:;|$)/.test(document.cookie);

/** The name that charts take: `Etc/UTC`, or that of the browser's zone. */
export function zoneId(): string {
  return inUtc() ? "Etc/UTC" : OWN;
}

/** A date whose UTC fields are those of the clock in the chosen zone. */
export function clockOf(seconds: number): Date {
  const at = new Date(seconds * 1000);
  return inUtc() ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
}

/** `UTC`, or what the zone is called at that time: `GMT+2`. */
export function zoneName(seconds = Date.now() / 1000): string {
  if (inUtc()) return "UTC";
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: OWN, timeZoneName: "short" }).formatToParts(seconds * 1000);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? OWN;
}

function written(form: string, seconds: number): string {
  const at = clockOf(seconds);
  const date = `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  const minute = `${at.getUTCFullYear()}-${date} ${clock}`;
  switch (form) {
    case "clock":
      return clock;
    case "short":
      return `${date} ${clock}`;
    case "day": // that of UTC, as the numbers of days are
      return new Date(seconds * 1000).toISOString().slice(0, 10);
    case "second":
      return `${minute}:${two(at.getUTCSeconds())}`;
    case "zoned":
      return `${minute} ${zoneName(seconds)}`;
    default:
      return minute;
  }
}

/** `14:05 UTC`, in the chosen zone. */
export function clockText(at: Date): string {
  const seconds = at.getTime() / 1000;
  return `${written("clock", seconds)} ${zoneName(seconds)}`;
}

/** Write the times below an element in the chosen zone. */
export function applyZone(root: ParentNode): void {
  if (inUtc() && !document.documentElement.dataset.zoned) return; // the server wrote them so
  for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) {
    const seconds = Date.parse(time.dateTime) / 1000;
    if (Number.isNaN(seconds)) continue;
    const form = time.dataset.form ?? "";
    if (time.title) time.title = written("zoned", seconds);
    if (form !== "ago") put(time, written(form, seconds));
  }
  for (const name of root.querySelectorAll<HTMLElement>("[data-zone]")) put(name, zoneName());
}

function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function toggleZone(): void {
  if (OWN === "UTC" || OWN === "Etc/UTC") return;
  document.cookie = inUtc() ? "tz=local; path=/; max-age=31536000; samesite=lax" : "tz=; path=/; max-age=0; samesite=lax";
  document.documentElement.dataset.zoned = "yes";
  applyZone(document);
  announce();
  document.dispatchEvent(new Event(ZONE_CHANGED));
}

function announce(): void {
  const button = document.querySelector<HTMLElement>("[data-zone-toggle]");
  if (button) put(button, inUtc() ? `Show times of ${OWN.replaceAll("_", " ")}` : "Show UTC");
}

export function startZone(): void {
  const button = document.querySelector<HTMLElement>("[data-zone-toggle]");
  if (!button || OWN === "UTC" || OWN === "Etc/UTC") return;
  button.hidden = false;
  button.addEventListener("click", toggleZone);
  announce();
  applyZone(document);
}
