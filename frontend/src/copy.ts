// A copy button on every block of commands, and buttons that copy a text which the page holds unseen.

export function addCopyButtons(root: ParentNode): void {
  if (!navigator.clipboard) return; // only over https and on localhost
  for (const block of root.querySelectorAll<HTMLElement>("pre[data-copy]")) {
    if (block.querySelector("button.copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.name = `copy ${block.querySelector("code")?.textContent ?? ""}`; // finds its focus again after a refresh
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      void copy(block.querySelector("code")?.textContent ?? "", button, "Copy");
    });
    block.append(button);
  }
  for (const button of root.querySelectorAll<HTMLButtonElement>("button[data-copy-text]")) {
    if (!button.hidden) continue;
    button.hidden = false;
    const usual = button.textContent;
    button.addEventListener("click", () => {
      void copy(document.getElementById(button.dataset.copyText ?? "")?.textContent ?? "", button, usual);
    });
  }
}

/** A browser may forbid it; the button says what came of it. */
async function copy(text: string, button: HTMLButtonElement, usual: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  window.setTimeout(() => (button.textContent = usual), 1500);
}
