// Both layers, and which of them is shown.
import type { Config } from "../config";
import type { Parts } from "../core";
import type { Action, Choice, Selection } from "../decision";
import { quietly, safely } from "../safely";
import type { Frame } from "./frame";
import css from "./question.css";

export type Source = "banner" | "preferences" | "signal" | "api";

/** What the layers show and do; the application behind them. */
export interface Desk {
  readonly $config: Config;
  readonly $selection: Selection;
  readonly $choice: Choice | null;
  /** Where the record can be read by people. */
  readonly $receipt: string;
  /** Hosts that the browser has blocked on this page, where the site reports them. */
  readonly $blocked: readonly string[] | undefined;
  /** What refused services keep where no page can remove it. */
  readonly $left: readonly string[];
  /** The record waits in the queue. */
  readonly $waiting: boolean;
  $decide(action: Action, selection: Selection, source: Source): void;
  $shown(layer: "banner" | "preferences" | ""): void;
}

export interface Ui {
  /** Shows the first layer. */
  $ask(): void;
  /** Opens the preferences. */
  $open(): Promise<void>;
  /** Closes both layers: there is a choice. */
  $rest(): void;
}

/** parts may grow: the preferences can come later, and more sees to it. */
export function layers(desk: Desk, frame: Frame, language: string, parts: () => Parts, more: () => Promise<void> | undefined): Ui {
  const { $question: question, $modal: modal, $first: first, $confirm: confirm } = parts();
  const words = question!.$words[language]!;
  const [banner, light] = ((desk.$choice && confirm) || first!)(desk, question!, words, modal ? "dialog" : "section", () => void open(), more, rest);
  const { $host: host } = frame;
  const page = document.documentElement;
  let watch: MutationObserver | undefined;
  let sheets = [css];
  let dialog: HTMLDialogElement | undefined;
  let fill: (() => void) | undefined;

  function mount(): void {
    frame.$mount(...sheets);
    sheets = [];
    raise();
  }

  /**
   * The host is in the top layer, where no style of the page's root reaches it.
   * Everything outside an open modal dialog is inert, a popover too: while the
   * first layer asks, the host moves into the innermost one.
   */
  function raise(): void {
    const parent = (watch && quietly(() => [...document.querySelectorAll("dialog:modal")].pop())) ?? page;
    // A move would close the preferences.
    if (host.parentNode === parent || (dialog?.open && host.isConnected)) return;
    parent.insertBefore(host, parent === page ? document.body : null);
    host.showPopover?.();
  }

  async function open(): Promise<void> {
    if (!parts().$preferences) await more();
    const { $preferences: preferences, $details: details } = parts();
    // It did not load; whoever asks again tries again.
    if (!preferences) return;
    if (!dialog) {
      let style: string;
      [dialog, fill, style] = preferences(desk, parts(), words, details!, language);
      sheets.push(style);
      frame.$root.append(dialog);
      dialog.addEventListener("close", () => desk.$shown(banner.isConnected ? "banner" : ""));
    }
    mount();
    fill!();
    desk.$shown("preferences");
  }

  function rest(): void {
    watch?.disconnect();
    watch = undefined;
    dialog?.close();
    banner.remove();
    host.replaceChildren();
    if (host.isConnected) raise();
    // A page that is loaded again for the choice need not have its button first.
    setTimeout(frame.$rest);
    desk.$shown("");
  }

  return {
    $open: open,
    $ask() {
      safely(() => {
        if (modal) return;
        watch = new MutationObserver(raise);
        watch.observe(page, { attributeFilter: ["open"], childList: true, subtree: true });
      });
      frame.$hide();
      // Before it is shown: one pass over the style, and where it lies is found in a task of its own.
      frame.$root.prepend(banner);
      host.append(...light);
      mount();
      modal?.(banner);
      desk.$shown("banner");
      setTimeout(() => banner.offsetHeight);
    },
    $rest: rest,
  };
}
