// One page and its visitor: reads the choice, enforces it, asks, stores, sends.
import { emit, state } from "./api";
import type { Config, Kind } from "./config";
import {
  VERSION_LENGTH,
  everyService,
  granted,
  grantsMore,
  judge,
  preset,
  undeclared,
  uniform,
  type Action,
  type Choice,
  type Selection,
} from "./decision";
import { Ui, type Desk, type Floating, type Source } from "./elements/ui";
import type { enforce } from "./gate/meta";
import type { hook } from "./gate/hooks";
import { Markup } from "./gate/markup";
import { dropDatabases, sweep } from "./gate/remove";
import { Queue } from "./send";
import { Shelf, session } from "./storage";
import { declared, mayStore } from "./trackers";
import { uuid4, uuid7 } from "./uuid";

/** What a site may do without; a part that is missing is not in its script. */
export interface Parts {
  readonly enforce?: typeof enforce;
  readonly hook?: typeof hook;
  readonly gpc?: () => boolean;
  readonly floating?: Floating;
}

/** Where a page was before the one reload after a decision. */
const SCROLL = "assent_scroll";

/** A decision may hold up the reload this long, in milliseconds; the queue brings it anyway. */
const PATIENCE = 500;

export class App implements Desk {
  readonly config: Config;
  selection: Selection;
  choice: Choice | null = null;
  private readonly _parts: Parts;
  private readonly _origin: string;
  private readonly _shelf: Shelf;
  private readonly _queue: Queue;
  private readonly _markup: Markup;
  private readonly _gpc: boolean;
  /** A policy is in place, and only a reload can loosen it. */
  private readonly _limited: boolean;
  private _consentId: string;
  private _ui: Ui | undefined;

  constructor(config: Config, parts: Parts, script: HTMLScriptElement | null, origin: string) {
    this.config = config;
    this._parts = parts;
    this._origin = origin;
    this._shelf = new Shelf(config);
    this._gpc = parts.gpc?.() === true;
    const stored = this._shelf.read();
    // An outdated choice still tells who decided.
    this._consentId = stored?.consentId ?? uuid4();
    const verdict = judge(config, stored, Date.now(), this._gpc);
    if (verdict.state === "stored") this.choice = verdict.choice;
    this.selection = this.choice ?? (verdict.state === "signal" ? uniform(config, false) : preset(config));

    this._limited = parts.enforce?.(config, this.selection, origin) === true;
    const strict = script?.dataset["undeclaredStorage"] !== "allow";
    parts.hook?.((kind, name) => mayStore(config, this.selection, kind, name, strict));
    this._sweep();
    this._queue = new Queue(config.site, origin);
    this._markup = new Markup((key) => this.allowed(key), script?.nonce ?? "");
    if (verdict.state === "signal") void this.decide("signal", this.selection, "signal");
    this._meet(verdict.state === "ask");
  }

  get receipt(): string {
    return this._origin + "/r/" + (this.choice?.recordId ?? "");
  }

  get waiting(): boolean {
    return this.choice !== null && this._queue.waits(this.choice.recordId);
  }

  /** Whether a category or service is granted; undefined for a key that the notice does not have. */
  known(key: string): boolean | undefined {
    return granted(this.config, this.selection, key);
  }

  allowed(key: string): boolean {
    return this.known(key) ?? undeclared(this.config, this.selection);
  }

  open(): void {
    this._view.open();
    void this._queue.flush(true);
  }

  shown(layer: "banner" | "preferences" | ""): void {
    emit("layer", layer);
  }

  /** Stores the decision, sends it, and makes the page follow it; resolves after the first try to send. */
  async decide(action: Action, selection: Selection, source: Source): Promise<void> {
    const { config } = this;
    const before = this.selection;
    const now = Date.now();
    const { categories, services } = selection;
    const choice: Choice = {
      categories,
      services,
      action,
      consentId: this._consentId,
      recordId: uuid7(now),
      version: config.version.slice(0, VERSION_LENGTH),
      time: now,
    };
    this._shelf.write(choice);
    const sent = this._queue.add(choice.recordId, this._body(choice, source));
    const taken = grantsMore(config, selection, before);
    const given = grantsMore(config, before, selection);
    this._adopt(choice);
    if (taken) await dropDatabases(config.services.filter((s) => !this.allowed(s.key)));
    if (taken || (given && this._limited)) {
      await Promise.race([sent, new Promise((done) => setTimeout(done, PATIENCE))]);
      session()?.setItem(SCROLL, location.pathname + " " + scrollY);
      location.reload();
    }
    return sent;
  }

  private _body(choice: Choice, source: Source): string {
    const { config } = this;
    return JSON.stringify({
      site: config.site,
      record_id: choice.recordId,
      consent_id: choice.consentId,
      version: config.version,
      action: choice.action,
      categories: choice.categories,
      services: everyService(config, choice),
      language: this._view.language,
      source,
      page: location.origin + location.pathname,
      gpc: this._gpc,
      tc: "",
      gpp: "",
    });
  }

  /** From here on the page follows this choice. */
  private _adopt(choice: Choice): void {
    this.choice = choice;
    this._consentId = choice.consentId;
    this.selection = choice;
    this._sweep();
    this._view.rest();
    // Before a reload nothing is released: the policy would only break it.
    if (!this._limited) this._markup.release();
    emit("change", state(this));
  }

  private _sweep(): void {
    sweep((kind: Kind, name) => declared(this.config, this.selection, kind, name) === false);
  }

  /** Everything that waits for the page, the visitor, or another tab. */
  private _meet(ask: boolean): void {
    if (ask) this._view.ask();
    else if (this._parts.floating) this._view.rest();
    document.addEventListener("click", (event) => {
      const target = event.target instanceof Element && event.target.closest("[data-assent-open]");
      if (!target) return;
      event.preventDefault();
      this.open();
    });
    addEventListener("storage", (event) => {
      const choice = event.key === this._shelf.key && this._shelf.read();
      if (choice && choice.recordId !== this.choice?.recordId) this._adopt(choice);
    });
    addEventListener("load", () => {
      this._sweep();
      this._scroll();
      void this._queue.flush();
    });
  }

  /** Browsers keep the place over a reload, unless the page told them not to. */
  private _scroll(): void {
    const [path, y] = session()?.getItem(SCROLL)?.split(" ") ?? [];
    session()?.removeItem(SCROLL);
    if (path === location.pathname && Number(y) !== scrollY) scrollTo({ top: Number(y), behavior: "instant" });
  }

  private get _view(): Ui {
    return (this._ui ??= new Ui(this, this._parts.floating));
  }
}
