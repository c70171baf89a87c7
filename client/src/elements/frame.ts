// The element that everything of ours is shown in, with its shadow root.
import type { Parts } from "../core";
import { h } from "./dom";
import css from "./frame.css";

export interface Frame {
  readonly $host: HTMLElement;
  readonly $root: HTMLElement;
  /** Puts the host into the page; the sheets are the layers' own. */
  $mount(...sheets: string[]): void;
  /** Nothing asks: only the button is left, where the site has one. */
  $rest(): void;
  /** Something is shown instead of the button. */
  $hide(): void;
}

export function frame({ $theme: theme, $floating: floating }: Parts, language: string, open: () => void): Frame {
  const host = document.createElement("assent-consent");
  const root = h("div", { lang: language, dir: theme!.$dir[language]! });
  const again = floating?.(theme!.$reopen[language]!, open);
  let shadow: ShadowRoot | undefined;

  /** The style is constructed, so that it needs no unsafe-inline. */
  function dress(text: string): void {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      shadow!.adoptedStyleSheets = [...shadow!.adoptedStyleSheets, sheet];
    } catch {
      // Safari before 16.4 adopts no sheets.
      shadow!.append(h("style", {}, text));
    }
  }

  function mount(...sheets: string[]): void {
    if (!shadow) {
      shadow = host.attachShadow({ mode: "open" });
      shadow.append(root);
      host.popover = "manual";
      sheets.unshift(css);
    }
    // One sheet is read faster than two.
    if (sheets[0]) dress(sheets.join(""));
    if (host.isConnected) return;
    // Before the body: first in the order of the Tab key, and out of reach of
    // frameworks that replace the body.
    document.querySelector("assent-consent")?.remove();
    document.documentElement.insertBefore(host, document.body);
    host.showPopover?.();
  }

  return {
    $host: host,
    $root: root,
    $mount: mount,
    $rest() {
      if (!again) return;
      mount();
      root.append(again);
    },
    $hide: () => again?.remove(),
  };
}
