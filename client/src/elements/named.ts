// The button that opens the preferences where the law wants its wording to be seen.
import { button } from "./button";
import { h } from "./dom";
import { pill } from "./pill";

export function named(label: string, open: () => void): HTMLElement {
  return h("button", { type: "button", class: "floating named", click: open }, label, pill());
}

/** The same where the button stands alone. */
export function namedButton(label: string, look: string, open: () => void): void {
  button(label, look + ";width:auto;padding:.5em 1em;border-radius:1.5em;font-weight:600", open);
  const named = document.querySelector("assent-consent")!.shadowRoot!.querySelector("button")!;
  const sign = pill();
  sign.style.cssText = "width:2em;height:1.1em;vertical-align:-.2em;margin-inline-start:.5em;fill:none;stroke:currentColor;stroke-width:1.75";
  named.replaceChildren(label, sign);
}
