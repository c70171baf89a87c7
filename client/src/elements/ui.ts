// The host element with its shadow root, and what is shown in it.
import type { Config, Texts } from "../config";
import type { Action, Choice, Selection } from "../decision";
import { pick, rightToLeft } from "../language";
import { firstLayer } from "./banner";
import { h } from "./dom";
import { Preferences } from "./preferences";
import { dress } from "./sheet";

export type Source = "banner" | "preferences" | "signal" | "api";

/** What the layers show and do; the application behind them. */
export interface Desk {
  readonly config: Config;
  readonly selection: Selection;
  readonly choice: Choice | null;
  /** Where the record can be read by people. */
  readonly receipt: string;
  /** The record waits in the queue. */
  readonly waiting: boolean;
  decide(action: Action, selection: Selection, source: Source): void;
  shown(layer: "banner" | "preferences" | ""): void;
}

/** The button that opens the preferences again. */
export type Floating = (label: string, open: () => void) => HTMLElement;

export class Ui {
  readonly language: string;
  private readonly _desk: Desk;
  private readonly _texts: Texts;
  private readonly _root: HTMLElement;
  private readonly _preferences: Preferences;
  private readonly _banner: HTMLElement;
  private readonly _floating: HTMLElement | undefined;

  constructor(desk: Desk, floating?: Floating) {
    const { config } = desk;
    this._desk = desk;
    this.language = pick(config.languages, [document.documentElement.lang, ...navigator.languages]);
    this._texts = config.texts[this.language]!;
    this._root = h("div", { lang: this.language, dir: rightToLeft(this.language) ? "rtl" : "ltr" });
    this._preferences = new Preferences(desk, this._texts, this.language);
    this._banner = firstLayer(desk, this._texts, () => this.open());
    this._floating = floating?.(this._texts.reopen, () => this.open());
    this._preferences.dialog.addEventListener("close", () => desk.shown(this._asking ? "banner" : ""));
  }

  private get _asking(): boolean {
    return this._banner.isConnected;
  }

  /** Shows the first layer. */
  ask(): void {
    this._mount();
    this._floating?.remove();
    if (this._asking) return;
    this._root.prepend(this._banner);
    if (this._banner instanceof HTMLDialogElement) this._banner.showModal();
    const text = this._banner.querySelector<HTMLElement>(".text");
    // What scrolls must be reachable by keyboard.
    if (text && text.scrollHeight > text.clientHeight) text.tabIndex = 0;
    this._desk.shown("banner");
  }

  /** Opens the preferences. */
  open(): void {
    this._mount();
    this._preferences.open();
    this._desk.shown("preferences");
  }

  /** Closes both layers: there is a choice. */
  rest(): void {
    this._mount();
    this._preferences.dialog.close();
    this._banner.remove();
    if (this._floating && !this._floating.isConnected) this._root.append(this._floating);
    this._desk.shown("");
  }

  private _mount(): void {
    if (this._root.isConnected) return;
    const host = document.createElement("assent-consent");
    const shadow = host.attachShadow({ mode: "open" });
    dress(shadow, this._desk.config.layout);
    shadow.append(this._root);
    this._root.append(this._preferences.dialog);
    // Before the body: first in the order of the Tab key, and out of reach of
    // frameworks that replace the body.
    document.documentElement.insertBefore(host, document.body);
  }
}
