// Suggestions while somebody types into the search; Enter without one goes to the page of all that fits.

interface Hit {
  kind: string;
  title: string;
  where: string;
  href: string;
}

const WAIT_MS = 120;
const TITLES: Record<string, string> = {
  crash: "crash", version: "version", build: "build", signature: "signature", measure: "measure",
  dimension: "dimension", application: "channel", page: "page",
};

export function startFind(): void {
  const form = document.querySelector<HTMLFormElement>("form[data-find]");
  const box = form?.querySelector<HTMLInputElement>("input[name=q]");
  const said = form?.querySelector<HTMLElement>("[data-find-said]");
  if (!form || !box || !said) return;
  const list = document.createElement("ul");
  list.id = "find-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What fits");
  list.hidden = true;
  form.append(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-expanded", "false");
  box.setAttribute("aria-controls", list.id);
  let hits: Hit[] = [];
  let at = -1;
  let timer = 0;
  let asking: AbortController | null = null;

  const close = (): void => {
    window.clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    at = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  const choose = (next: number): void => {
    at = next;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at < 0) box.removeAttribute("aria-activedescendant");
    else {
      box.setAttribute("aria-activedescendant", `find-${at}`);
      list.children[at]?.scrollIntoView({ block: "nearest" });
    }
  };

  const show = (): void => {
    list.replaceChildren(...hits.map(item));
    list.hidden = !hits.length;
    box.setAttribute("aria-expanded", String(hits.length > 0));
    choose(-1);
    said.textContent = hits.length ? `${hits.length} suggestion${hits.length > 1 ? "s" : ""}` : "Nothing fits";
  };

  const ask = async (): Promise<void> => {
    asking?.abort();
    const text = box.value.trim();
    if (!text) return close();
    asking = new AbortController();
    try {
      const answer = await fetch(`/api/v1/find?${new URLSearchParams({ q: text, limit: "10" }).toString()}`, { signal: asking.signal });
      if (!answer.ok) return close();
      hits = ((await answer.json()) as { results: Hit[] }).results;
      if (document.activeElement === box) show();
    } catch {
      return; // the page of the search still works
    }
  };

  box.addEventListener("input", () => {
    window.clearTimeout(timer);
    choose(-1); // what is listed was of another text
    timer = window.setTimeout(() => void ask(), WAIT_MS);
  });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (list.hidden) return box.blur();
      event.preventDefault(); // it would empty the box as well
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) void ask();
      else choose(event.key === "ArrowDown" ? (at + 1 < hits.length ? at + 1 : -1) : at < 0 ? hits.length - 1 : at - 1);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      location.assign(hits[at]!.href);
    }
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the box keeps the focus, so that the list stays until the click
  });
  list.addEventListener("click", (event) => {
    const chosen = [...list.children].indexOf((event.target as Element).closest("li")!);
    if (chosen >= 0) location.assign(hits[chosen]!.href);
  });
}

function item(hit: Hit, number: number): HTMLLIElement {
  const row = document.createElement("li");
  row.id = `find-${number}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  const [kind, title, where] = [document.createElement("small"), document.createElement("span"), document.createElement("small")];
  kind.className = "kind";
  kind.textContent = TITLES[hit.kind] ?? hit.kind;
  title.textContent = hit.title;
  where.textContent = hit.where;
  row.append(kind, title, where);
  return row;
}
