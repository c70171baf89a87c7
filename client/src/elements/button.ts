// The floating button alone, on a page where nothing has been decided or shown.

/** Without a style sheet of its own: the look is set on the elements, which no policy of the page forbids. */
export function button(label: string, look: string, open: () => void): void {
  const host = document.createElement("assent-consent");
  const button = document.createElement("button");
  host.style.cssText = "all:initial!important;position:fixed!important;z-index:2147483647!important;color-scheme:light dark";
  button.style.cssText = look;
  button.textContent = "\u2713";
  button.className = "floating";
  button.ariaLabel = label;
  button.onclick = open;
  host.attachShadow({ mode: "open" }).append(button);
  document.documentElement.insertBefore(host, document.body);
  // Nobody wants it on paper.
  addEventListener("beforeprint", () => host.remove());
}
