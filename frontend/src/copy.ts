// A copy button on every block of commands.

export function addCopyButtons(root: ParentNode): void {
  if (!navigator.clipboard) return; // only over https and on localhost
  for (const block of root.querySelectorAll<HTMLElement>("pre[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.name = `copy ${block.querySelector("code")?.textContent ?? ""}`; // finds its focus again after a refresh
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      void navigator.clipboard.writeText(block.querySelector("code")?.textContent ?? "").then(() => {
        button.textContent = "Copied";
        window.setTimeout(() => (button.textContent = "Copy"), 1500);
      });
    });
    block.append(button);
  }
}
