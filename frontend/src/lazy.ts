// Parts of a page that are fetched when they come into view; without scripts a link stands in their place.

const KEPT_MS = 60_000;
const kept = new Map<string, { at: number; text: string }>();
const seen = new WeakSet<Element>();

export function startLazyParts(): void {
  const visible = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      visible.unobserve(entry.target);
      void fill(entry.target as HTMLElement);
    }
  }, { rootMargin: "200px" });
  const look = (): void => {
    for (const part of document.querySelectorAll("[data-lazy]")) {
      if (seen.has(part)) continue;
      seen.add(part);
      visible.observe(part);
    }
  };
  look();
  // A page that was swapped in has its parts anew.
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}

async function fill(part: HTMLElement): Promise<void> {
  const address = part.dataset.lazy ?? "";
  const known = kept.get(address);
  if (known) part.innerHTML = known.text;
  if (known && performance.now() - known.at < KEPT_MS) return;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok) return; // the link stays, and its page says what is wrong
    const text = await answer.text();
    kept.set(address, { at: performance.now(), text });
    part.innerHTML = text;
  } catch {
    // as above
  }
}
