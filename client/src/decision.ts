// Which choice is in force, and what it allows. No DOM, no clock of its own.
import { NECESSARY, type Config } from "./config";

export type Action = "accept_all" | "accept_necessary" | "save" | "withdraw" | "signal";
export type Status = "accepted_all" | "accepted_partially" | "accepted_necessary";
export type Flags = Readonly<Record<string, boolean>>;

/** What a visitor decided, without the when and the who. */
export interface Selection {
  /** Every category but necessary. */
  readonly categories: Flags;
  /** Only the services that differ from their category. */
  readonly services: Flags;
}

export interface Choice extends Selection {
  readonly consentId: string;
  readonly recordId: string;
  /** What it was about; see Config. */
  readonly scope: string;
  /** Unix milliseconds by the visitor's clock. */
  readonly time: number;
  readonly action: Action;
}

const DAY = 86_400_000;

/**
 * The stored choice where it is in force; else whether a signal of the browser
 * decides, the visitor is asked (or told, where everything runs until refused), or there is nothing to do. A clock that was set back by more than a day
 * makes a choice look as if it came from the future; it is not trusted, because
 * it would never expire.
 */
export function judge(config: Config, stored: Choice | null, now: number, gpc: boolean): Choice | "signal" | "ask" | "idle" {
  if (!optional(config).length) return "idle";
  const age = now - (stored?.time ?? 0);
  // Who opted out stays out, of what is new as well, and is not asked again (California Civil Code 1798.135(c)(4)).
  const lasting = config.$regime !== "opt-in" && stored?.action !== "accept_all";
  if (stored && (lasting || (stored.scope === config.$scope && age >= -DAY && age <= config.$choice_days * DAY))) return stored;
  return gpc ? "signal" : config.$else ?? "ask";
}

/** What holds before a visitor has decided. */
export function preset(config: Config): Selection {
  return config.$preset ?? uniform(config, config.$regime !== "opt-in");
}

/** Everything granted, or everything refused. */
export function uniform(config: Config, value: boolean): Selection {
  return { categories: Object.fromEntries(optional(config).map((key) => [key, value])), services: {} };
}

/** The categories that a visitor decides on. */
export function optional(config: Config): readonly string[] {
  return config.$categories.filter((key) => key !== NECESSARY);
}

/** Completes and trims a partial selection: unknown keys go, missing ones keep their value in base. */
export function complete(config: Config, base: Selection, categories: Flags, services: Flags): Selection {
  const chosen: Record<string, boolean> = {};
  for (const key of optional(config)) chosen[key] = own(categories, key) ?? own(base.categories, key) ?? false;
  const overrides: Record<string, boolean> = {};
  for (const { key, category } of config.$services) {
    if (category === NECESSARY) continue;
    // A category that is named decides for its services, unless they are named too.
    const value = own(services, key) ?? (own(categories, category) === undefined ? own(base.services, key) : undefined);
    if (value !== undefined && value !== chosen[category]) overrides[key] = value;
  }
  return { categories: chosen, services: overrides };
}

function own(flags: Flags, key: string): boolean | undefined {
  return Object.keys(flags).includes(key) ? flags[key] === true : undefined;
}

/** Whether a category or a service is granted; undefined when the notice has no such key. */
export function granted(config: Config, selection: Selection, key: string): boolean | undefined {
  const service = config.$services.find((s) => s.key === key);
  const category = service ? service.category : key;
  if (!config.$categories.includes(category)) return undefined;
  if (category === NECESSARY) return true;
  return (service && own(selection.services, key)) ?? own(selection.categories, category) ?? false;
}

/** Every service outside necessary with its value. */
export function everyService(config: Config, selection: Selection): Record<string, boolean> {
  const all: Record<string, boolean> = {};
  for (const { key, category } of config.$services) {
    if (category !== NECESSARY) all[key] = granted(config, selection, key) === true;
  }
  return all;
}

/** The status as the server derives it: explicit values of categories and services together. Services that are not named are as their category is. */
export function statusOf({ categories, services }: Selection): Status {
  const values = [...Object.values(categories), ...Object.values(services)];
  if (!values.includes(true)) return "accepted_necessary";
  return values.includes(false) ? "accepted_partially" : "accepted_all";
}

/** Whether after grants something that before did not. */
export function grantsMore(config: Config, before: Selection, after: Selection): boolean {
  return [...config.$categories, ...config.$services.map((s) => s.key)].some(
    (key) => granted(config, after, key) && !granted(config, before, key),
  );
}

/** Whether everything was accepted, and that lets through what no service declares. */
function everything(config: Config, selection: Selection): boolean {
  return config.$undeclared !== "block" && statusOf(selection) === "accepted_all";
}

/** Whether a third party that no service declares is let through. */
export function undeclared(config: Config, selection: Selection): boolean {
  return config.$undeclared === "report" || everything(config, selection);
}

/**
 * Whether the page may store under this name, of which declared says whether a
 * granted service, a refused one, or none declares it. strict: names that nobody
 * declared wait for everything to be accepted, and where such hosts never load, for ever.
 */
export function mayStore(config: Config, selection: Selection, name: string, declared: boolean | undefined, strict: boolean): boolean {
  return name.startsWith("assent_") || (declared ?? (!strict || everything(config, selection)));
}
