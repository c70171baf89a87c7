// One page and its visitor: reads the choice, enforces it, asks, stores, sends.
import { emit, state } from "./api";
import type { Config, Kind } from "./config";
import {
  everyService,
  granted,
  grantsMore,
  judge,
  mayStore,
  preset,
  undeclared,
  uniform,
  type Action,
  type Choice,
  type Flags,
  type Selection,
} from "./decision";
import { layers, type Desk, type Looks, type Source, type Ui } from "./elements/ui";
import type { dropDatabases } from "./gate/databases";
import type { hook } from "./gate/hooks";
import { markup } from "./gate/markup";
import type { enforce } from "./gate/meta";
import type { sweep } from "./gate/remove";
import { Queue } from "./send";
import { safely } from "./safely";
import { Shelf, keep, session } from "./storage";
import type { declared } from "./trackers";
import { uuid4, uuid7 } from "./uuid";

/** What a site may do without; a part that is missing is not in its script. */
export interface Parts extends Looks {
  readonly $enforce?: typeof enforce;
  readonly $hook?: typeof hook;
  readonly $sweep?: typeof sweep;
  readonly $dropDatabases?: typeof dropDatabases;
  readonly $declared?: typeof declared;
  readonly $gpc?: () => boolean;
}

/** Where a page was before the one reload after a decision. */
const SCROLL = "assent_scroll";

/** The register takes 16 KB. */
const MAX_BODY = 12_000;

/** A decision may hold up the reload this long, in milliseconds; the queue brings it anyway. */
const PATIENCE = 500;

export class App implements Desk {
  readonly $config: Config;
  $selection: Selection;
  $choice: Choice | null = null;
  private readonly _parts: Parts;
  private readonly _origin: string;
  private readonly _shelf: Shelf;
  private readonly _queue: Queue;
  private readonly _gpc: boolean;
  private readonly _verdict: ReturnType<typeof judge>;
  /** Releases marked elements. */
  private _release: (() => void) | undefined;
  private _tidy: (() => void) | undefined;
  /** What the policy in place was made for; only a reload can loosen it. */
  private _limit: Selection | null = null;
  private _consentId: string | undefined;
  private _ui: Ui | undefined;

  /** Reads the choice and puts the policy in place, nothing else: whatever throws here leaves a page that may load nothing. */
  constructor(config: Config, parts: Parts, origin: string) {
    this.$config = config;
    this._parts = parts;
    this._origin = origin;
    this._shelf = new Shelf(config);
    this._queue = new Queue(config.$site, origin);
    this._gpc = !!parts.$gpc?.();
    // undefined: the page broke what reading needs. The choice may have been a refusal.
    const stored = safely(() => this._shelf.$read());
    // An outdated choice still tells who decided.
    this._consentId = stored?.consentId;
    const verdict = (this._verdict = judge(config, stored ?? null, Date.now(), this._gpc));
    if (typeof verdict !== "string") this.$choice = verdict;
    this.$selection = this.$choice ?? (verdict === "signal" || stored === undefined ? uniform(config, false) : preset(config));
    this._enforce();
  }

  /** Everything else; a step that the page broke keeps no other from being taken. */
  $run(script: HTMLScriptElement): void {
    const { $config: config, _parts: parts, _verdict: verdict } = this;
    const strict = script.dataset["undeclaredStorage"] !== "allow";
    this._tidy = safely(() => parts.$hook?.((kind, name) => mayStore(config, this.$selection, name, this._declared(kind, name), strict)));
    this._sweep();
    // What the policy would only break waits for the next page.
    const free = (key: string) => this.allowed(key) && (!this._limit || this._allows(this._limit, key));
    this._release = safely(() => markup(free, script.nonce));
    if (verdict === "signal") void this.$decide("signal", this.$selection, "signal");
    safely(() => {
      if (verdict === "ask") this._view.$ask();
      else if (parts.$floating) this._view.$rest();
    });
    safely(() => this._meet());
  }

  get $receipt(): string {
    return this._origin + "/r/" + (this.$choice?.recordId ?? "");
  }

  get $waiting(): boolean {
    return this.$choice !== null && this._queue.$waits(this.$choice.recordId);
  }

  allowed(key: string): boolean {
    return this._allows(this.$selection, key);
  }

  private _allows(selection: Selection, key: string): boolean {
    return granted(this.$config, selection, key) ?? undeclared(this.$config, selection);
  }

  private _enforce(): void {
    if (this._parts.$enforce?.(this.$config, this.$selection, this._origin)) this._limit = this.$selection;
  }

  open(): void {
    this._view.open();
    void this._queue.$flush(true);
  }

  $shown(layer: "banner" | "preferences" | ""): void {
    emit("layer", layer);
  }

  /** Stores the decision, sends it, and makes the page follow it; resolves after the first try to send. */
  async $decide(action: Action, selection: Selection, source: Source): Promise<void> {
    const { $config: config } = this;
    const before = this.$selection;
    const now = Date.now();
    const choice: Choice = {
      ...selection,
      action,
      consentId: this._consentId ?? uuid4(),
      recordId: uuid7(now),
      scope: config.$scope,
      time: now,
    };
    this._shelf.$write(choice);
    // The page follows the choice whether or not it can be sent.
    const sent = safely(() => this._queue.$add(choice.recordId, this._body(choice, source)));
    const reload = this._limit && grantsMore(config, before, selection);
    const taken = this._adopt(choice);
    if (taken) await this._drop();
    if (taken || reload) {
      await Promise.race([sent, new Promise((done) => setTimeout(done, PATIENCE))]);
      keep(session, SCROLL, location.pathname + " " + scrollY);
      const again = () => location.reload();
      // Without a line the browser would show its error page instead of this one.
      if (navigator.onLine) again();
      else addEventListener("online", again);
    }
    return sent;
  }

  private _body(choice: Choice, source: Source): string {
    const { $config: config } = this;
    const body = (services: Flags) =>
      JSON.stringify({
        site: config.$site,
        record_id: choice.recordId,
        consent_id: choice.consentId,
        version: config.$version,
        action: choice.action,
        categories: choice.categories,
        services,
        language: this._view.$language,
        source,
        page: location.origin + location.pathname.slice(0, 1000),
        gpc: this._gpc,
      });
    const whole = body(everyService(config, choice));
    // The register completes what is not named by its category.
    return whole.length < MAX_BODY ? whole : body(choice.services);
  }

  /** From here on the page follows this choice; tells whether it takes something back. */
  private _adopt(choice: Choice): boolean {
    const taken = grantsMore(this.$config, choice, this.$selection);
    this.$choice = choice;
    this._consentId = choice.consentId;
    this.$selection = choice;
    // A policy can be tightened in a live page: at once here, and in other tabs.
    if (taken) this._enforce();
    this._sweep();
    safely(() => this._view.$rest());
    safely(() => this._release?.());
    emit("change", state(this));
    return taken;
  }

  private _declared(kind: Kind, name: string): boolean | undefined {
    return this._parts.$declared?.(this.$config, this.$selection, kind, name);
  }

  private _sweep(): void {
    safely(() => {
      this._parts.$sweep?.((kind, name) => this._declared(kind, name) === false);
      this._tidy?.();
    });
  }

  private async _drop(): Promise<void> {
    await this._parts.$dropDatabases?.(this.$config, (name) => this._declared("indexed_db", name) === false);
  }

  /** Everything that waits for the page, the visitor, or another tab. */
  private _meet(): void {
    document.addEventListener("click", (event) => {
      const target = event.target instanceof Element && event.target.closest("[data-assent-open]");
      if (!target) return;
      event.preventDefault();
      this.open();
    });
    const news = () => {
      const choice = this._shelf.$read();
      return choice && choice.recordId !== this.$choice?.recordId ? choice : null;
    };
    addEventListener("storage", (event) => {
      const choice = event.key === this._shelf.$key && news();
      if (choice) this._adopt(choice);
    });
    // "Back" may bring a page as it was before the choice.
    addEventListener("pageshow", (event) => {
      if (event.persisted && news()) location.reload();
    });
    addEventListener("pagehide", () => this._sweep());
    addEventListener("online", () => void this._queue.$flush(true));
    const loaded = () => {
      this._sweep();
      void this._drop();
      this._scroll();
      void this._queue.$flush();
    };
    if (document.readyState === "complete") loaded();
    else addEventListener("load", loaded);
  }

  /** Browsers keep the place over a reload, unless the page told them not to. */
  private _scroll(): void {
    const [path, y] = session.getItem(SCROLL)?.split(" ") ?? [];
    session.removeItem(SCROLL);
    if (path === location.pathname) scrollTo({ top: Number(y), behavior: "instant" });
  }

  private get _view(): Ui {
    if (!this._ui) this._ui = layers(this, this._parts);
    return this._ui;
  }
}
