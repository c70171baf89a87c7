// Asks, decides, stores, sends: what a page needs when something is to be decided.
import type { Boot } from "./boot";
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
import { pause, Queue } from "./send";
import { quietly, safely } from "./safely";
import { write } from "./storage";
import { uuid4, uuid7 } from "./uuid";

/** The register takes 16 KB. */
const MAX_BODY = 12_000;

/** A decision may hold up the reload this long, in milliseconds; the queue brings it anyway. */
const PATIENCE = 500;

/** Loads the page again. Firefox would give a frame without an address of its own the policy that it had before. */
function again(): void {
  for (const frame of document.querySelectorAll("iframe")) frame.remove();
  location.reload();
}

export class App implements Desk {
  private readonly _b: Boot;
  private readonly _queue: Queue;
  private _ui: Ui | undefined;

  constructor(b: Boot) {
    this._b = b;
    this._queue = new Queue(b.$config.$site, b.$origin);
    b.$later = () => ({ waiting: this.$waiting, left: b.$parts!.$leftBehind?.(b) });
    addEventListener("online", () => void this._queue.$flush(true));
  }

  get $config() {
    return this._b.$config;
  }

  get $selection(): Selection {
    return this._b.s;
  }

  get $choice(): Choice | null {
    return this._b.$choice;
  }

  get $receipt(): string {
    return this._b.$origin + "/r/" + (this.$choice?.recordId ?? "");
  }

  get $blocked(): readonly string[] | undefined {
    const { $blocked: blocked } = this._b;
    return blocked && [...blocked];
  }

  get $left(): readonly string[] {
    return this._b.get().left ?? [];
  }

  get $waiting(): boolean {
    return !!this.$choice && this._queue.$waits(this.$choice.recordId);
  }

  /** What the visitor, or a signal of the browser, is to decide at the start. */
  $begin(): void {
    this.$sweep();
    const { $verdict: verdict, $parts: parts } = this._b;
    const signalled = verdict === "signal";
    if (signalled) void this.$decide("signal", this.$selection, "signal");
    if (verdict === "ask" || (signalled && parts!.$confirm)) {
      const { _view: view, $choice: choice } = this;
      // Made here and shown in a later task: on a slow phone both together keep the page from answering.
      void pause().then(() => this.$choice === choice && view.$ask());
    } else if (!signalled) parts!.$frame!.$rest();
  }

  /** The page is there, and was swept: databases that are left behind go, what waits is sent. */
  $settle(): void {
    void this._drop();
    void this._queue.$flush();
  }

  open = (): Promise<void> => {
    void this._queue.$flush(true);
    return this._view.$open();
  };

  $shown(layer: "banner" | "preferences" | ""): void {
    this._b.$emit("layer", layer);
  }

  /** Assent.set, see assent.d.ts. */
  set = async (choice: Parameters<Assent["set"]>[0]): Promise<void> => {
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
  };

  withdraw = () => this.$decide("withdraw", uniform(this.$config, false), "api");

  /** Stores the decision, sends it, and makes the page follow it; resolves after the first try to send. */
  async $decide(action: Action, selection: Selection, source: Source): Promise<void> {
    const { _b: b, $config: config, $selection: before } = this;
    const now = Date.now();
    const choice: Choice = {
      ...selection,
      action,
      consentId: b.$consentId ?? uuid4(),
      recordId: uuid7(now),
      scope: config.$scope,
      time: now,
    };
    write(config, b.$parts!.$question!.$domains, choice);
    const reload = b.$limit && grantsMore(config, before, selection);
    b.$parts!.$remember?.(config, before, selection);
    // The page follows the choice whether or not it can be sent.
    const sent = safely(() => this._queue.$add(choice.recordId, this._body(choice, source)));
    const taken = await this._adopt(choice);
    const dropped = taken && this._drop();
    if (taken || reload) {
      await Promise.race([Promise.all([sent, dropped]), pause(PATIENCE)]);
      b.$leaving = true;
      // Browsers keep the place over a reload, unless the page told them not to.
      quietly(() => (history.scrollRestoration = "auto"));
      // Without a line the browser would show its error page instead of this one.
      if (navigator.onLine) again();
      else addEventListener("online", again);
    }
    return sent;
  }

  private _body(choice: Choice, source: Source): string {
    const { _b: b, $config: config } = this;
    const body = (services: Flags) =>
      JSON.stringify({
        site: config.$site,
        record_id: choice.recordId,
        consent_id: choice.consentId,
        version: b.i.slice(0, 64),
        action: choice.action,
        categories: choice.categories,
        services,
        language: b.$language(),
        source,
        page: location.origin + location.pathname.slice(0, 1000),
        gpc: b.$gpc,
        regime: b.i.slice(73), // what stands behind the "~"
      });
    const whole = body(everyService(config, choice));
    // The register completes what is not named by its category.
    return whole.length < MAX_BODY ? whole : body(choice.services);
  }

  /**
   * From here on the page follows this choice; tells whether it takes something back.
   * What the visitor sees is done at once, and everybody else is told in a later task.
   */
  private async _adopt(choice: Choice): Promise<boolean> {
    const { _b: b } = this;
    const taken = grantsMore(this.$config, choice, b.s);
    b.$choice = choice;
    b.$consentId = choice.consentId;
    b.s = choice;
    // A policy can be tightened in a live page: at once here, and in other tabs.
    if (taken) b.$enforce();
    safely(() => (this._ui ?? b.$parts!.$frame!).$rest());
    await pause();
    this.$sweep();
    // What is released finds its tools told.
    b.$tell?.();
    safely(() => b.$release?.());
    b.$emit("change", b.get());
    return taken;
  }

  /** Another tab, or the page that "back" left, may have decided since. */
  $news(reload?: boolean): void {
    const choice = this._b.$read();
    if (!choice || choice.recordId === this.$choice?.recordId) return;
    if (reload) again();
    else void this._adopt(choice);
  }

  $sweep(): void {
    const { _b: b } = this;
    safely(() => {
      b.$parts!.$sweep?.(b);
      b.$tidy?.();
    });
  }

  private async _drop(): Promise<void> {
    await this._b.$parts!.$dropDatabases?.(this._b);
  }

  private get _view(): Ui {
    const { _b: b } = this;
    return (this._ui ??= layers(this, b.$parts!.$frame!, b.$language(), () => b.$parts!, () => b.$need("more")));
  }
}
