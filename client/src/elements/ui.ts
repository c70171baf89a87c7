// The host element with its shadow root, and what is shown in it.
import type { Config } from "../config";
import type { Action, Choice, Selection } from "../decision";
import type { pick } from "../language";
import { firstLayer } from "./banner";
import { h } from "./dom";
import type { floating } from "./floating";
import type { modal } from "./modal";
import { preferences } from "./preferences";
import { quietly, safely } from "../safely";
import type { serviceList } from "./services";
import { dress } from "./sheet";

export type Source = "banner" | "preferences" | "signal" | "api";

/** What the layers show and do; the application behind them. */
export interface Desk {
  readonly $config: Config;
  readonly $selection: Selection;
  readonly $choice: Choice | null;
  /** Where the record can be read by people. */
  readonly $receipt: string;
  /** The record waits in the queue. */
  readonly $waiting: boolean;
  $decide(action: Action, selection: Selection, source: Source): void;
  $shown(layer: "banner" | "preferences" | ""): void;
}

/** What a site's layers may do without; a part that is missing is not in its script. */
export interface Looks {
  /** The button that opens the preferences again. */
  readonly $floating?: typeof floating;
  /** Without it the page can be used while the first layer asks. */
  readonly $modal?: typeof modal;
  /** Without it the site has no services. */
  readonly $serviceList?: typeof serviceList;
  /** Without it the site has one language. */
  readonly $pick?: typeof pick;
}

export interface Ui {
  readonly $language: string;
  /** Shows the first layer. */
  $ask(): void;
  /** Opens the preferences. */
  open(): void;
  /** Closes both layers: there is a choice. */
  $rest(): void;
}

export function layers(desk: Desk, looks: Looks): Ui {
  const { $config: config } = desk;
  const page = document.documentElement;
  const languages = config.$languages;
  const language = looks.$pick?.(languages, [page.lang, ...navigator.languages]) ?? languages[0]!;
  const texts = config.$texts[language]!;
  const [dialog, fill] = preferences(desk, texts, language, looks.$serviceList);
  const root = h("div", { lang: language, dir: config.$right_to_left.includes(language) ? "rtl" : "ltr" }, dialog);
  const banner = firstLayer(desk, texts, looks.$modal ? "dialog" : "section", open);
  const again = looks.$floating?.(texts.$reopen, open);
  dialog.addEventListener("close", () => desk.$shown(banner.isConnected ? "banner" : ""));

  const host = document.createElement("assent-consent");
  let watch: MutationObserver | undefined;

  /**
   * Puts the host into the top layer, where no style of the page's root reaches
   * it. Everything outside an open modal dialog is inert, a popover too: while
   * the first layer asks, the host moves into the innermost one.
   */
  function raise(): void {
    const parent = (watch && quietly(() => [...document.querySelectorAll("dialog:modal")].pop())) ?? page;
    // A move would close the preferences.
    if (host.parentNode === parent || (dialog.open && host.isConnected)) return;
    // Before the body: first in the order of the Tab key, and out of reach of
    // frameworks that replace the body.
    parent.insertBefore(host, parent === page ? document.body : null);
    host.showPopover?.();
  }

  function mount(): void {
    if (!host.shadowRoot) {
      const shadow = host.attachShadow({ mode: "open" });
      dress(shadow, config.$layout);
      shadow.append(root);
      host.popover = "manual";
    }
    raise();
  }

  function open(): void {
    mount();
    fill();
    desk.$shown("preferences");
  }

  return {
    $language: language,
    open,
    $ask() {
      safely(() => {
        if (looks.$modal) return;
        watch = new MutationObserver(raise);
        watch.observe(page, { attributeFilter: ["open"], childList: true, subtree: true });
      });
      mount();
      again?.remove();
      if (banner.isConnected) return;
      root.prepend(banner);
      looks.$modal?.(banner);
      desk.$shown("banner");
    },
    $rest() {
      watch?.disconnect();
      watch = undefined;
      dialog.close();
      mount();
      banner.remove();
      if (again) root.append(again);
      desk.$shown("");
    },
  };
}
