// The element that everything of ours is shown in, with its shadow root.
import type { Colours, Theme } from "../config";
import { quietly } from "../safely";
import { h } from "./dom";
import type { floating } from "./floating";
import css from "./frame.css";

export interface FrameParts {
  readonly $theme?: Theme;
  /** The button that opens the preferences again. */
  readonly $floating?: typeof floating;
}

export class Frame {
  readonly $root: HTMLElement;
  /** While something asks, the host looks for its way above modal dialogs. */
  private _watch: MutationObserver | undefined;
  private readonly _host = document.createElement("assent-consent");
  private readonly _theme: Theme;
  private readonly _again: HTMLElement | undefined;

  constructor(parts: FrameParts, language: string, open: () => void) {
    this._theme = parts.$theme!;
    this._again = parts.$floating?.(this._theme.$reopen[language]!, open);
    const dir = this._theme.$right_to_left.includes(language) ? "rtl" : "ltr";
    this.$root = h("div", { lang: language, dir });
  }

  /** Puts the host into the page; further sheets are the layers' own. */
  $mount(...sheets: string[]): void {
    const { _host: host } = this;
    if (!host.shadowRoot) {
      const shadow = host.attachShadow({ mode: "open" });
      const { $light: light, $dark: dark, $radius: radius } = this._theme;
      this._dress(`:host{${colours(light)};--r:${radius}px}@media(prefers-color-scheme:dark){:host{${colours(dark)}}}${css}`);
      shadow.append(this.$root);
      host.popover = "manual";
    }
    sheets.forEach((sheet) => this._dress(sheet));
    this._raise();
  }

  /** The style is constructed, so that it needs no unsafe-inline. */
  private _dress(text: string): void {
    const shadow = this._host.shadowRoot!;
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];
    } catch {
      // Safari before 16.4 adopts no sheets.
      const style = document.createElement("style");
      style.textContent = text;
      shadow.append(style);
    }
  }

  /** From now on something asks, and the page can still be used. */
  $watch(): void {
    this._watch = new MutationObserver(() => this._raise());
    this._watch.observe(document.documentElement, { attributeFilter: ["open"], childList: true, subtree: true });
  }

  /** Nothing asks: only the button is left, where the site has one. */
  $rest(): void {
    this._watch?.disconnect();
    this._watch = undefined;
    if (!this._again) return;
    this.$mount();
    this.$root.append(this._again);
  }

  /** Something is shown instead of the button. */
  $hide(): void {
    this._again?.remove();
  }

  /**
   * Puts the host into the top layer, where no style of the page's root reaches
   * it. Everything outside an open modal dialog is inert, a popover too: while
   * something asks, the host moves into the innermost one.
   */
  private _raise(): void {
    const { _host: host } = this;
    const page = document.documentElement;
    const parent = (this._watch && quietly(() => [...document.querySelectorAll("dialog:modal")].pop())) ?? page;
    // A move would close the preferences.
    if (host.parentNode === parent || (host.isConnected && this.$root.querySelector("dialog[open]"))) return;
    // Before the body: first in the order of the Tab key, and out of reach of
    // frameworks that replace the body.
    parent.insertBefore(host, parent === page ? document.body : null);
    host.showPopover?.();
  }
}

function colours(c: Colours): string {
  return `--bg:${c.$background}!important;--fg:${c.$text}!important;--main:${c.$button}!important;--on:${c.$button_text}!important`;
}
