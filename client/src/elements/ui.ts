// Both layers, and which of them is shown.
import type { Config } from "../config";
import type { Parts } from "../core";
import type { Action, Choice, Selection } from "../decision";
import { safely } from "../safely";
import { firstLayer } from "./banner";
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
  /** The record waits in the queue. */
  readonly $waiting: boolean;
  $decide(action: Action, selection: Selection, source: Source): void;
  $shown(layer: "banner" | "preferences" | ""): void;
}

/** What the layers are made of: core.ts, or the console's preview. */
export interface Stage {
  /** May grow: the preferences can come later. */
  readonly $parts: Parts;
  readonly $frame: Frame;
  readonly $language: string;
  /** Sees to it that a part is there. */
  $need(name: string): Promise<void>;
}

export interface Ui {
  /** Shows the first layer. */
  $ask(): void;
  /** Opens the preferences. */
  $open(): Promise<void>;
  /** Closes both layers: there is a choice. */
  $rest(): void;
}

export function layers(desk: Desk, stage: Stage): Ui {
  const { $frame: frame, $parts: parts, $language: language } = stage;
  const words = parts.$question!.$words[language]!;
  const banner = firstLayer(desk, parts.$question!, words, parts.$modal ? "dialog" : "section", () => void open(), () => void more());
  let sheets = [css];
  let dialog: HTMLDialogElement | undefined;
  let fill: (() => void) | undefined;

  function mount(): void {
    frame.$mount(...sheets);
    sheets = [];
  }

  const more = () => stage.$need("more").catch(console.error);

  async function open(): Promise<void> {
    if (!stage.$parts.$preferences) await more();
    const { $preferences: preferences, $details: details } = stage.$parts;
    // It did not load; whoever asks again tries again.
    if (!preferences) return;
    if (!dialog) {
      let style: string;
      [dialog, fill, style] = preferences(desk, stage.$parts, words, details!, language);
      sheets.push(style);
      frame.$root.append(dialog);
      dialog.addEventListener("close", () => desk.$shown(banner.isConnected ? "banner" : ""));
    }
    mount();
    fill!();
    desk.$shown("preferences");
  }

  return {
    $open: open,
    $ask() {
      safely(() => parts.$modal || frame.$watch());
      mount();
      frame.$hide();
      if (banner.isConnected) return;
      frame.$root.prepend(banner);
      parts.$modal?.(banner);
      desk.$shown("banner");
    },
    $rest() {
      dialog?.close();
      banner.remove();
      frame.$rest();
      desk.$shown("");
    },
  };
}
