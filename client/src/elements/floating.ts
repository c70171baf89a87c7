// The button that opens the preferences again.
import { h } from "./dom";

const SVG = "http://www.w3.org/2000/svg";

export function floating(label: string, open: () => void): HTMLElement {
  const icon = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  // A shield with a tick.
  path.setAttribute("d", "M12 3l7 2.5v5.5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V5.5zM8.7 11.8l2.4 2.4 4.3-4.4");
  icon.append(path);
  return h("button", { type: "button", class: "floating", "aria-label": label, title: label, click: open }, icon);
}
