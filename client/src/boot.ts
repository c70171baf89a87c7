// What stands in the page itself, or at the head of the whole script: reads the
// stored choice, enforces it before the page's own tags, and answers for window.assent.
// Everything else (asking, deciding, sending) comes after it, and may come later.
import type { AssentEvents, AssentState } from "../assent";
import type { App } from "./app";
import type { Config, Kind } from "./config";
import type { Parts } from "./core";
import { granted, judge, mayStore, preset, statusOf, undeclared, uniform, type Choice, type Selection } from "./decision";
import type { hook } from "./gate/hooks";
import type { enforce } from "./gate/meta";
import type { preferred } from "./language";
import type { load } from "./load";
import { safely } from "./safely";
import type { tell } from "./signals/signal";
import { read } from "./stored";
import type { declared } from "./trackers";
import type { Wanted } from "./report";

/** What a site may do without; a part that is missing is not in its script. */
export interface BootParts {
  readonly $enforce?: typeof enforce;
  readonly $hook?: typeof hook;
  readonly $declared?: typeof declared;
  readonly $gpc?: () => boolean;
  /** Without it no tool of the page is told anything. */
  readonly $signals?: ReturnType<typeof tell>;
  /** Without it the site has one language. */
  readonly $preferred?: typeof preferred;
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
  l: Listeners;
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

type Verdict = Exclude<ReturnType<typeof judge>, Choice>;

/** One page and what holds in it; later scripts fill in what is optional. */
export interface Boot extends Stale {
  readonly $config: Config;
  readonly $origin: string;
  readonly $nonce: string;
  readonly $gpc: boolean;
  /** What there is to do: obey a signal of the browser, ask, nothing because nothing can be decided, or nothing any more (""). */
  readonly $verdict: Verdict | "";
  /** The stored choice, where it is in force. */
  $choice: Choice | null;
  /** An outdated choice still tells who decided. */
  $consentId: string | undefined;
  /** What the policy in place was made for; only a reload can loosen it. */
  $limit: Selection | null;
  /** Links to other domains of the site are watched. */
  $departs?: boolean;
  /** The page is about to be loaded again. */
  $leaving?: boolean;
  /** Views and the banner are counted. */
  $counts?: boolean;
  /** Keys of what is shown once. */
  $shown?: Set<string>;
  /** Removes what came past the hooks. */
  $tidy?: (() => void) | undefined;
  /** What the page wanted so far and did not get; later whoever takes it. */
  $wanted: { push(what: Wanted): number };
  /** Hosts with their ports that the browser has blocked, once somebody asks. */
  $blocked?: Set<string>;
  /** What the part that decides knows: whether the choice waits to be sent, and what refused services keep in spite of it. */
  $later?: () => Pick<AssentState, "waiting" | "left">;
  $parts?: Parts;
  $app?: App;
  /** Tells the page's tools what may be used from now on. */
  $tell?: () => void;
  /** Releases marked elements. */
  $release?: (() => void) | undefined;
  /** Scripts on their way, and those that have run. */
  readonly $loading: Record<string, Promise<void>>;
  /** The choice as it is stored now, by whichever tab. */
  $read(): Choice | null;
  /** Puts a policy for what holds now in place; a later one can only tighten it. */
  $enforce(): void;
  /** Whether what a key stands for may be used; a key that the notice does not have is like everything undeclared. */
  allowed(key: string, selection?: Selection): boolean;
  /** Whether a granted service, a refused one, or none declares the name. */
  $declared(kind: Kind, name: string): boolean | undefined;
  get(): AssentState;
  on<K extends keyof AssentEvents>(event: K, callback: (value: AssentEvents[K]) => void): () => void;
  /** Tells everybody who listens; one that fails does not keep the others from hearing. */
  $emit<K extends keyof AssentEvents>(event: K, value: AssentEvents[K]): void;
  /** Which of the notice's languages the visitor reads. */
  $language(): string;
  /** Sees to it that a script of ours has run. */
  $need(name: string): Promise<void> | undefined;
  /** The part that decides, which comes when it is needed. */
  $decider(): Promise<App>;
}

/**
 * Reads the choice and puts the policy in place before it does anything else:
 * whatever throws until then leaves a page that may load nothing. ask is called as soon as
 * that is done: what the page needs of ours is on its way while the rest is put in place.
 */
export function boot(config: Config, parts: BootParts, origin: string, script: HTMLScriptElement, ask: (b: Boot) => void): Boot {
  const gpc = !!parts.$gpc?.();
  // undefined: the page broke what reading needs. The choice may have been a refusal.
  const $read = () => read(config);
  const stored = safely($read);
  const verdict = judge(config, stored, Date.now(), gpc);
  const choice = verdict === stored ? stored : null;
  const { assentGate: gate, undeclaredStorage: storage } = script.dataset;
  const b: Boot = {
    i: config.$id,
    s: choice ?? (verdict === "signal" || stored === undefined ? uniform(config, false) : preset(config)),
    l: {},
    $config: config,
    $origin: origin,
    $nonce: script.nonce,
    $gpc: gpc,
    $read,
    $verdict: choice ? "" : (verdict as Verdict),
    $choice: choice,
    $consentId: stored?.consentId,
    $limit: null,
    $wanted: [],
    $loading: {},
    $enforce() {
      if (parts.$enforce?.(config, b.s, origin)) b.$limit = b.s;
    },
    allowed: (key, selection = b.s) => granted(config, selection, key) ?? undeclared(config, selection),
    $declared: (kind, name) => parts.$declared?.(config, b.s, kind, name),
    get() {
      const { recordId = "", consentId = "", action = "", time } = { ...b.$choice } as Partial<Choice>;
      const flags = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, b.allowed(key)]));
      return {
        status: time ? statusOf(b.s) : null,
        categories: flags(config.$categories),
        services: flags(config.$services.map(({ key }) => key)),
        recordId,
        consentId,
        date: time ? new Date(time) : null,
        version: b.i.slice(0, 64),
        action,
        waiting: false,
        ...b.$later?.(),
      };
    },
    on(event, callback) {
      const lists = b.l as Record<string, Set<typeof callback>>;
      const all = lists[event] || (lists[event] = new Set()); // shorter than ??= for the browsers that we serve
      all.add(callback);
      return () => void all.delete(callback);
    },
    $emit(event, value) {
      b.l[event]?.forEach((callback) => safely(() => callback(value)));
    },
    $language: () => parts.$preferred?.(config.$languages) ?? config.$languages[0]!,
    $need: (name) => parts.$load?.(b, name),
    async $decider() {
      if (!b.$app) await b.$need("ask");
      return b.n?.$decider() ?? b.$app!;
    },
  };
  // A gate in front of the site has sent the policy with the page, and says for which
  // choice: a page out of some cache may have the policy of another one.
  if (stored === undefined || gate !== (choice ? choice.recordId.slice(-8) : verdict === "signal" ? verdict : "")) b.$enforce();
  else if (!undeclared(config, b.s)) b.$limit = b.s;
  ask(b);
  addEventListener("securitypolicyviolation", (event) => b.$wanted.push(event));
  const strict = !config.$undeclared_storage && storage !== "allow";
  b.$tidy = safely(() =>
    parts.$hook?.((kind, name) => mayStore(config, b.s, name, b.$declared(kind, name), strict) || !b.$wanted.push([kind, name])),
  );
  parts.$signals?.(b);
  return b;
}
