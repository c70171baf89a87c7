// Asks, decides, stores, sends: what a page needs when something is to be decided.
import type { Core } from "./core";
import { SCROLL } from "./core";
import {
  complete,
  everyService,
  granted,
  grantsMore,
  uniform,
  type Action,
  type Choice,
  type Flags,
  type Selection,
} from "./decision";
import { NECESSARY } from "./config";
import type { Assent } from "../assent";
import { layers, type Desk, type Source, type Ui } from "./elements/ui";
import { Queue } from "./send";
import { safely } from "./safely";
import { keep, read, session, write } from "./storage";
import { uuid4, uuid7 } from "./uuid";

/** The register takes 16 KB. */
const MAX_BODY = 12_000;

/** A decision may hold up the reload this long, in milliseconds; the queue brings it anyway. */
const PATIENCE = 500;

export class App implements Desk {
  readonly $core: Core;
  private readonly _queue: Queue;
  private _ui: Ui | undefined;

  constructor(core: Core) {
    const { $boot: boot } = (this.$core = core);
    this._queue = new Queue(boot.$config.$site, boot.$origin);
    addEventListener("online", () => void this._queue.$flush(true));
  }

  get $config() {
    return this.$core.$boot.$config;
  }

  get $selection(): Selection {
    return this.$core.$boot.s;
  }

  get $choice(): Choice | null {
    return this.$core.$boot.$choice;
  }

  get $receipt(): string {
    return this.$core.$boot.$origin + "/r/" + (this.$choice?.recordId ?? "");
  }

  get $waiting(): boolean {
    return this.$core.$boot.get().waiting;
  }

  /** What the visitor, or a signal of the browser, is to decide at the start. */
  $begin(): true {
    const { $boot: boot } = this.$core;
    if (boot.$verdict === "signal") void this.$decide("signal", this.$selection, "signal");
    if (boot.$verdict === "ask") this._view.$ask();
    else this.$core.$frame.$rest();
    return true;
  }

  /** The page is there: what is left behind goes, what waits is sent. */
  $settle(): void {
    this.$sweep();
    void this._drop();
    void this._queue.$flush();
  }

  open(): void {
    void this._queue.$flush(true);
    void this._view.$open();
  }

  $shown(layer: "banner" | "preferences" | ""): void {
    this.$core.$boot.$emit("layer", layer);
  }

  /** Assent.set, see assent.d.ts. */
  async $set(choice: Parameters<Assent["set"]>[0]): Promise<void> {
    const { $config: config, $selection: selection } = this;
    if (choice === "all" || choice === "none") {
      const all = choice === "all";
      return this.$decide(all ? "accept_all" : "accept_necessary", uniform(config, all), "api");
    }
    const { categories = {}, services = {}, ...other } = choice;
    const wrong = Object.entries({ ...categories, ...services })
      .filter(([key, value]) => granted(config, selection, key) === undefined || ![true, key === NECESSARY].includes(value))
      .map(([key]) => key)
      .concat(Object.keys(other));
    if (wrong.length) throw new TypeError('Assent: use "all", "none" or {categories: {key: true}}, not ' + wrong.join(", "));
    return this.$decide("save", complete(config, selection, categories, services), "api");
  }

  $withdraw(source: Source): Promise<void> {
    return this.$decide("withdraw", uniform(this.$config, false), source);
  }

  /** Stores the decision, sends it, and makes the page follow it; resolves after the first try to send. */
  async $decide(action: Action, selection: Selection, source: Source): Promise<void> {
    const { $config: config, $selection: before } = this;
    const { $boot: boot } = this.$core;
    const now = Date.now();
    const choice: Choice = {
      ...selection,
      action,
      consentId: boot.$consentId ?? uuid4(),
      recordId: uuid7(now),
      scope: config.$scope,
      time: now,
    };
    write(config, choice);
    // The page follows the choice whether or not it can be sent.
    const sent = safely(() => this._queue.$add(choice.recordId, this._body(choice, source)));
    const reload = boot.$limit && grantsMore(config, before, selection);
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
    const { $boot: boot } = this.$core;
    const body = (services: Flags) =>
      JSON.stringify({
        site: config.$site,
        record_id: choice.recordId,
        consent_id: choice.consentId,
        version: config.$version,
        action: choice.action,
        categories: choice.categories,
        services,
        language: boot.$language,
        source,
        page: location.origin + location.pathname.slice(0, 1000),
        gpc: boot.$gpc,
      });
    const whole = body(everyService(config, choice));
    // The register completes what is not named by its category.
    return whole.length < MAX_BODY ? whole : body(choice.services);
  }

  /** From here on the page follows this choice; tells whether it takes something back. */
  private _adopt(choice: Choice): boolean {
    const { $boot: boot } = this.$core;
    const taken = grantsMore(this.$config, choice, boot.s);
    boot.$choice = choice;
    boot.$consentId = choice.consentId;
    boot.s = choice;
    // A policy can be tightened in a live page: at once here, and in other tabs.
    if (taken) boot.$enforce();
    this.$sweep();
    safely(() => (this._ui ?? this.$core.$frame).$rest());
    safely(() => this.$core.$release?.());
    boot.$emit("change", boot.get());
    return taken;
  }

  /** Another tab, or the page that "back" left, may have decided since. */
  $news(reload?: boolean): void {
    const choice = read(this.$config);
    if (!choice || choice.recordId === this.$choice?.recordId) return;
    if (reload) location.reload();
    else this._adopt(choice);
  }

  $sweep(): void {
    const { $boot: boot, $parts: parts } = this.$core;
    safely(() => {
      parts.$sweep?.(this.$core.$refused.bind(this.$core));
      boot.$tidy?.();
    });
  }

  private async _drop(): Promise<void> {
    await this.$core.$parts.$dropDatabases?.(this.$config, (name) => this.$core.$refused("indexed_db", name));
  }

  private get _view(): Ui {
    return (this._ui ??= layers(this, this.$core));
  }
}
