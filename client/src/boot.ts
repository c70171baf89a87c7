// What stands in the page itself, or at the head of the whole script: reads the
// stored choice, enforces it before the page's own tags, and answers for window.assent.
// Everything else (asking, deciding, sending) comes after it, and may come later.
import type { AssentEvents, AssentState } from "../assent";
import type { App } from "./app";
import type { Config, Kind } from "./config";
import { queueName } from "./cookie";
import type { Core } from "./core";
import { granted, judge, mayStore, preset, statusOf, undeclared, uniform, type Choice, type Selection } from "./decision";
import type { hook } from "./gate/hooks";
import type { enforce } from "./gate/meta";
import type { pick } from "./language";
import type { load } from "./load";
import { safely } from "./safely";
import { local, read } from "./storage";
import type { declared } from "./trackers";

/** What a site may do without; a part that is missing is not in its script. */
export interface BootParts {
  readonly $enforce?: typeof enforce;
  readonly $hook?: typeof hook;
  readonly $declared?: typeof declared;
  readonly $gpc?: () => boolean;
  /** Without it the site has one language. */
  readonly $pick?: typeof pick;
  /** Without it everything is in this script. */
  readonly $load?: typeof load;
}

type Listeners = { [K in keyof AssentEvents]?: Set<(value: AssentEvents[K]) => void> };

/**
 * What a boot of another version or compiler, pasted into a page long ago, is known
 * by. Its members have lasting names of one letter: never rename them.
 */
export interface Stale {
  /** Config.$id of the boot. */
  readonly i: string;
  /** What its hooks judge by. */
  s: Selection;
  /** Who listens. */
  readonly l: Listeners;
  /** Makes trusted values, where the page asks for them. */
  t?: TrustedTypes;
  /** Its successor. */
  n?: Boot;
}

/** The part of a Trusted Types policy that we use (W3C Trusted Types). */
export type TrustedTypes = Readonly<Record<"createHTML" | "createScript" | "createScriptURL", (text: string) => string>>;

/** How a script of ours finds the boot that asked for it, and tells that it has run. */
export interface Carrier extends HTMLScriptElement {
  b?: Stale;
  d?: () => void;
}

export class Boot implements Stale {
  readonly i: string;
  s: Selection;
  // Made when it is needed: nothing that a page can break may run before the policy is in.
  l: Listeners = {};
  t?: TrustedTypes;
  n?: Boot;
  readonly $config: Config;
  readonly $origin: string;
  readonly $gpc: boolean;
  /** What there is to do: obey a signal of the browser, ask, nothing because nothing can be decided, or nothing any more (""). */
  readonly $verdict: "signal" | "ask" | "idle" | "";
  /** The stored choice, where it is in force. */
  $choice: Choice | null = null;
  /** An outdated choice still tells who decided. */
  $consentId: string | undefined;
  /** What the policy in place was made for; only a reload can loosen it. */
  $limit: Selection | null = null;
  /** Removes what came past the hooks. */
  $tidy: (() => void) | undefined;
  $nonce = "";
  $core?: Core;
  /** Scripts on their way, and those that have run. */
  readonly $loading: Record<string, Promise<void>> = {};
  private readonly _parts: BootParts;

  /** Reads the choice and puts the policy in place, nothing else: whatever throws here leaves a page that may load nothing. */
  constructor(config: Config, parts: BootParts, origin: string, gated: boolean) {
    this.i = config.$id;
    this.$config = config;
    this._parts = parts;
    this.$origin = origin;
    this.$gpc = !!parts.$gpc?.();
    // undefined: the page broke what reading needs. The choice may have been a refusal.
    const stored = safely(() => read(config));
    this.$consentId = stored?.consentId;
    const verdict = judge(config, stored ?? null, Date.now(), this.$gpc);
    if (typeof verdict !== "string") this.$choice = verdict;
    this.$verdict = typeof verdict === "string" ? verdict : "";
    this.s = this.$choice ?? (verdict === "signal" || stored === undefined ? uniform(config, false) : preset(config));
    if (!gated) this.$enforce();
    // A gate in front of the site has sent the policy with the page.
    else if (!undeclared(config, this.s)) this.$limit = this.s;
  }

  /** Puts a policy for what holds now in place; a later one can only tighten it. */
  $enforce(): void {
    if (this._parts.$enforce?.(this.$config, this.s, this.$origin)) this.$limit = this.s;
  }

  /** Refuses what the page's own scripts store by name. */
  $hook(script: HTMLScriptElement): void {
    const strict = script.dataset["undeclaredStorage"] !== "allow";
    this.$nonce = script.nonce;
    this.$tidy = safely(() => this._parts.$hook?.((kind, name) => mayStore(this.$config, this.s, name, this.$declared(kind, name), strict)));
  }

  /** The boot in the page is of another version: its hooks and listeners stay, this one decides. */
  $follow(stale: Stale): void {
    console.warn("Assent: the boot in this page is out of date");
    document.querySelector("assent-consent")?.remove();
    this.l = stale.l;
    if (stale.t) this.t = stale.t;
    stale.n = this;
    this.on("change", () => (stale.s = this.s));
    stale.s = this.s;
  }

  /** Whether what a key stands for may be used; a key that the notice does not have is like everything undeclared. */
  allowed(key: string, selection = this.s): boolean {
    return granted(this.$config, selection, key) ?? undeclared(this.$config, selection);
  }

  /** Whether a granted service, a refused one, or none declares the name. */
  $declared(kind: Kind, name: string): boolean | undefined {
    return this._parts.$declared?.(this.$config, this.s, kind, name);
  }

  get(): AssentState {
    const { $config: config, $choice: choice } = this;
    const flags = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, granted(config, this.s, key) === true]));
    return {
      status: choice && statusOf(config, this.s),
      categories: flags(config.$categories),
      services: flags(config.$services.map(({ key }) => key)),
      recordId: choice?.recordId ?? "",
      consentId: choice?.consentId ?? "",
      date: choice && new Date(choice.time),
      version: config.$version,
      action: choice?.action ?? "",
      waiting: !!choice && !!local.getItem(queueName(config.$site) + choice.recordId),
    };
  }

  on<K extends keyof AssentEvents>(event: K, callback: (value: AssentEvents[K]) => void): () => void {
    const all = ((this.l as Record<string, Set<typeof callback>>)[event] ??= new Set());
    all.add(callback);
    return () => void all.delete(callback);
  }

  /** Tells everybody who listens; one that fails does not keep the others from hearing. */
  $emit<K extends keyof AssentEvents>(event: K, value: AssentEvents[K]): void {
    this.l[event]?.forEach((callback) => safely(() => callback(value)));
  }

  /** Which of the notice's languages the visitor reads. */
  get $language(): string {
    const { $languages: languages } = this.$config;
    return this._parts.$pick?.(languages, [document.documentElement.lang, ...navigator.languages]) ?? languages[0]!;
  }

  /** Sees to it that a script of ours has run. */
  async $need(name: string): Promise<void> {
    await this._parts.$load?.(this, name + "." + this.$language);
  }

  /** The part that decides, which comes when it is needed. */
  async $app(): Promise<App> {
    if (!this.n && !this.$core?.$app) await this.$need("ask");
    return this.n?.$app() ?? this.$core!.$app!;
  }
}
