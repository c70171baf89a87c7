// The button that opens the preferences again.
import { h } from "./dom";

export function floating(label: string, click: () => void): HTMLElement {
  return h("button", { class: "floating", "aria-label": label, title: label, click }, "\u2713");
}
