// The pure floors against the vectors that their Go twins read, too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Config, Service, Tracker } from "../src/config";
import { decode, encode } from "../src/cookie";
import { judge, preset, statusOf, uniform, type Choice, type Selection } from "../src/decision";
import { cookieDomain, covering, within } from "../src/hosts";
import { policy } from "../src/policy";
import { nameClass, pageClass } from "../src/report";
import { dnt } from "../src/signals";
import { matches } from "../src/trackers";

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../testdata/${name}.json`, import.meta.url), "utf8")) as T;
}

type Flags = Record<string, boolean>;
interface StoredChoice {
  consent_id: string;
  record_id: string;
  scope: string;
  time: number;
  action: Choice["action"];
  categories: Flags;
  services: Flags;
}
/** Parts of a notice as the vectors and the Go twins name them. */
interface Part {
  scope?: string;
  choice_days?: number;
  own?: string[];
  categories?: string[];
  undeclared?: Config["$undeclared"];
  regime?: Config["$regime"];
  services?: Partial<Service>[];
}

/** A config with what the vector says and nothing else. */
function config({ services = [], ...rest }: Part): Config {
  const whole = services.map((s) => ({ hosts: [], trackers: [] as Tracker[], ...s }) as unknown as Service);
  const part = { own: [], categories: ["necessary"], undeclared: "with_all", regime: "opt-in", ...rest, services: whole };
  return Object.fromEntries(Object.entries(part).map(([name, value]) => ["$" + name, value])) as unknown as Config;
}

describe("the stored choice", () => {
  const { valid, invalid } = vectors<{
    valid: { name: string; text: string; choice: StoredChoice }[];
    invalid: { name: string; text: string }[];
  }>("cookie");
  for (const { name, text, choice } of valid) {
    test(`reads and writes ${name}`, () => {
      const { consent_id: consentId, record_id: recordId, ...rest } = choice;
      assert.deepEqual(decode(text), { consentId, recordId, ...rest });
      assert.equal(encode({ consentId, recordId, ...rest }), text);
    });
  }
  for (const { name, text } of invalid) {
    test(`is not read from ${name}`, () => assert.equal(decode(text), null));
  }
});

describe("a site's hosts", () => {
  const { cases } = vectors<{
    cases: { name: string; domains: string[]; host: string; owned: boolean; cookie_domain: string }[];
  }>("hosts");
  for (const row of cases) {
    test(row.name, () => {
      assert.equal(row.domains.some((domain) => within(row.host, domain)), row.owned);
      assert.equal(cookieDomain(row.domains, row.host), row.cookie_domain);
      assert.equal(covering(row.domains, row.host) !== "", row.owned);
      if (row.cookie_domain) assert.equal(covering(row.domains, row.host), row.cookie_domain);
    });
  }
});

describe("a tracker's name", () => {
  for (const row of vectors<{ cases: { pattern: string; name: string; matches: boolean }[] }>("trackers").cases) {
    test(`${row.pattern} ${row.matches ? "fits" : "does not fit"} ${row.name || "nothing"}`, () =>
      assert.equal(matches(row.pattern, row.name), row.matches));
  }
});

describe("what is kept", () => {
  const v = vectors<{ pages: { path: string; class: string }[]; names: { name: string; class: string }[] }>("pageclass");
  for (const row of v.pages) test(`of the path ${row.path}`, () => assert.equal(pageClass(row.path), row.class));
  for (const row of v.names) test(`of the name ${JSON.stringify(row.name)}`, () => assert.equal(nameClass(row.name), row.class));
});

describe("the status", () => {
  const { cases } = vectors<{
    cases: { name: string; categories: Flags; services: Flags; status: string }[];
  }>("status");
  for (const row of cases) test(`${row.name}: ${row.status}`, () => assert.equal(statusOf(row), row.status));
});

describe("which choice is in force", () => {
  const v = vectors<{
    scope: string;
    choice_days: number;
    categories: string[];
    now: number;
    cases: {
      name: string;
      regime: Config["$regime"];
      gpc: boolean;
      categories?: string[];
      stored: Pick<Choice, "scope" | "time" | "action"> | null;
      state: string;
    }[];
  }>("force");
  for (const row of v.cases) {
    test(row.name, () => {
      // The compiler leaves the signal out where visitors are only told.
      const stored = row.stored && { consentId: "c", recordId: "r", categories: {}, services: {}, ...row.stored };
      const verdict = judge(config({ scope: v.scope, choice_days: v.choice_days, categories: row.categories ?? v.categories, regime: row.regime }), stored, v.now, row.gpc && row.regime !== "notice-only");
      assert.deepEqual(verdict, row.state === "stored" ? stored : row.state);
    });
  }
});

describe("what holds in a place", () => {
  interface Variant extends Part {
    name: string;
    honour_gpc: boolean;
    /** As the compiler gives it to the boot: the categories that are on before a choice. */
    preset: Flags | null;
  }
  const v = vectors<{
    now: number;
    categories: string[];
    honour_dnt: boolean;
    variants: Variant[];
    cases: { name: string; at: string; gpc?: boolean; dnt?: boolean; stored?: Pick<Choice, "scope" | "time" | "action" | "categories">; state: string; granted: string[] }[];
  }>("regimes");
  for (const row of v.cases) {
    test(row.name, () => {
      Object.defineProperty(globalThis, "navigator", { value: { doNotTrack: row.dnt ? "1" : null }, configurable: true });
      const { preset: before, honour_gpc: heeds, ...variant } = v.variants.find(({ name }) => name === row.at)!;
      const plain = config({ ...variant, categories: v.categories });
      const of: Config = { ...plain, ...(before && { $preset: { categories: before, services: {} } }) };
      const stored = row.stored ? { consentId: "c", recordId: "r", services: {}, ...row.stored } : null;
      const verdict = judge(v.honour_dnt ? dnt(of) : of, stored, v.now, heeds && !!row.gpc);
      assert.deepEqual(verdict, row.state === "stored" ? stored : row.state);
      const selection: Selection = verdict === "signal" ? uniform(of, false) : typeof verdict === "string" ? preset(of) : verdict;
      assert.deepEqual(
        Object.keys(selection.categories).filter((key) => selection.categories[key]),
        row.granted,
      );
    });
  }
});

describe("the policy", () => {
  const v = vectors<{
    notice: Part;
    page: string;
    consent: string;
    cases: { name: string; undeclared: Config["$undeclared"]; page?: string; categories: Flags; services: Flags; policy: string }[];
  }>("policy");
  for (const row of v.cases) {
    test(row.name, () => assert.equal(policy(config({ ...v.notice, undeclared: row.undeclared }), row, row.page ?? v.page, v.consent), row.policy));
  }
});
