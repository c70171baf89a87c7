// The style of the shadow root: constructed, so that it needs no unsafe-inline.
import type { Colours, Config } from "../config";
import css from "./style.css";

export function dress(shadow: ShadowRoot, layout: Config["$layout"]): void {
  const text = `:host{${colours(layout.$light)};--r:${layout.$radius}px}@media(prefers-color-scheme:dark){:host{${colours(layout.$dark)}}}${css}`;
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    shadow.adoptedStyleSheets = [sheet];
  } catch {
    // Safari before 16.4 adopts no sheets.
    const style = document.createElement("style");
    style.textContent = text;
    shadow.append(style);
  }
}

function colours(c: Colours): string {
  return `--bg:${c.$background}!important;--fg:${c.$text}!important;--main:${c.$button}!important;--on:${c.$button_text}!important`;
}
