// Pure rules that no other language shares.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { delay, parseEntry, settled } from "../src/backoff";
import type { Config, Kind, Service, Tracker } from "../src/config";
import { complete, granted, grantsMore, judge, mayStore, preset, uniform } from "../src/decision";
import { fits, parents } from "../src/hosts";
import { pick } from "../src/language";
import { recall, remember, tell, told } from "../src/regimes";
import { declared } from "../src/trackers";
import { uuid4, uuid7 } from "../src/uuid";

const tracker = (kind: Kind, name: string): Tracker => [kind, name];
const service = (key: string, category: string, ...trackers: Tracker[]) => ({ key, category, hosts: [], trackers }) as unknown as Service;

const config = {
  $regime: "opt-in",
  $undeclared: "with_all",
  $domains: [],
  $categories: ["necessary", "analytics", "advertising"],
  $services: [
    service("basket", "necessary", tracker("cookie", "basket"), tracker("cookie", "shared")),
    service("count", "analytics", tracker("cookie", "_count*"), tracker("cookie", "shared"), tracker("local_storage", "count")),
    service("heat", "analytics"),
    service("ads", "advertising", tracker("cookie", "_count_ads")),
  ],
} as unknown as Config;
const none = uniform(config, false);
const all = uniform(config, true);

describe("completing a selection", () => {
  test("a category decides for its services", () => {
    const base = { categories: { analytics: false, advertising: false }, services: { count: true } };
    assert.deepEqual(complete(config, base, { analytics: true }, {}), { categories: { analytics: true, advertising: false }, services: {} });
  });
  test("a service that is named differs from its category", () =>
    assert.deepEqual(complete(config, none, { analytics: true }, { heat: false }).services, { heat: false }));
  test("a service that is not named keeps its value", () =>
    assert.deepEqual(complete(config, { ...none, services: { count: true } }, {}, { ads: true }).services, { count: true, ads: true }));
  test("necessary and unknown keys are dropped", () =>
    assert.deepEqual(complete(config, none, { necessary: false, nonsense: true }, { basket: false, constructor: true }), none));
});

describe("granted", () => {
  test("necessary always", () => assert.equal(granted(config, none, "basket") && granted(config, none, "necessary"), true));
  test("unknown keys are neither granted nor refused", () => {
    for (const key of ["nonsense", "", "__proto__", "constructor", "toString"]) assert.equal(granted(config, all, key), undefined);
  });
  test("more is granted only where something was refused before", () => {
    assert.equal(grantsMore(config, none, { ...none, services: { heat: true } }), true);
    assert.equal(grantsMore(config, all, none), false);
    assert.equal(grantsMore(config, none, none), false);
  });
  test("nothing before a choice, unless the notice says so", () => {
    assert.deepEqual(preset(config), none);
    assert.deepEqual(preset({ ...config, $regime: "opt-out" }), none);
    assert.deepEqual(preset({ ...config, $preset: all }), all);
  });
});

describe("storing under a name", () => {
  const may = (selection: typeof none, kind: Kind, name: string, strict = true) => mayStore(config, selection, name, declared(config, selection, kind, name), strict);
  test("our own always", () => assert.equal(may(none, "cookie", "assent_k3y"), true));
  test("a necessary name always, even if another service declares it too", () => {
    assert.equal(may(none, "cookie", "basket"), true);
    assert.equal(may(none, "cookie", "shared"), true);
  });
  test("a refused name never", () => assert.equal(may(none, "cookie", "_count_1", false), false));
  test("a name of two services when one of them is granted", () =>
    assert.equal(may({ ...none, services: { ads: true } }, "cookie", "_count_ads"), true));
  test("databases and caches share their names", () => {
    const shared = { ...config, $services: [service("pages", "analytics", ["cache", "pages-*"])] };
    assert.equal(declared(shared, none, "indexed_db", "pages-1"), false);
    assert.equal(declared(shared, none, "cookie", "pages-1"), undefined);
    assert.equal(declared({ ...config, $services: [service("pages", "analytics", ["indexed_db", "pages"])] }, none, "cache", "pages"), undefined);
  });
  test("the kind matters", () => assert.equal(may(none, "session_storage", "count", false), true));
  test("an undeclared name after everything was accepted", () => {
    assert.equal(may(none, "cookie", "other"), false);
    assert.equal(may({ ...all, services: { heat: false } }, "cookie", "other"), false);
    assert.equal(may(all, "cookie", "other"), true);
    assert.equal(mayStore({ ...config, $undeclared: "block" }, all, "other", undefined, true), false);
    // That hosts are let through says nothing about names.
    assert.equal(mayStore({ ...config, $undeclared: "report" }, none, "other", undefined, true), false);
    assert.equal(mayStore({ ...config, $undeclared: "report" }, all, "other", undefined, true), true);
    assert.equal(mayStore({ ...config, $undeclared: "report" }, none, "other", undefined, false), true);
  });
});

test("a service's hosts", () => {
  for (const [declared, host, fit] of [
    ["film.example", "film.example", true],
    ["film.example", "www.film.example", false],
    ["*.film.example", "www.film.example", true],
    ["*.film.example", "film.example", false],
    ["*.film.example", "wwwfilm.example", false],
    ["film.example:8080", "film.example:8080", true],
    ["film.example", "film.example:8080", false],
    ["*.film.example:8080", "a.b.film.example:8080", true],
    ["film.example", "", false],
  ] as const) {
    assert.equal(fits(declared, host), fit, `${declared} ${host}`);
  }
});

describe("sending again", () => {
  test("answers that end it", () => {
    for (const status of [200, 201, 400, 403, 409, 413, 422]) assert.equal(settled(status), true, String(status));
    for (const status of [0, 408, 429, 500, 503]) assert.equal(settled(status), false, String(status));
  });
  test("pauses grow to an hour and no further", () => {
    assert.equal(delay(0, 1), 2_000);
    assert.equal(delay(3, 0), 8_000);
    for (const tries of [11, 12, 1e6, Number.MAX_SAFE_INTEGER]) assert.equal(delay(tries, 1), 3_600_000);
  });
  test("what lies in storage is not trusted", () => {
    const entry = { body: "{}", tries: 2, next: 5 };
    assert.deepEqual(parseEntry(JSON.stringify(entry)), entry);
    for (const text of [null, "", "null", "1", "[]", "{", '{"body":1,"tries":0,"next":0}', '{"body":"","tries":0.5,"next":0}', '{"body":"","tries":0}']) {
      assert.equal(parseEntry(text), null, String(text));
    }
  });
});

describe("identifiers", () => {
  test("UUIDs have version and variant", () => {
    assert.match(uuid4(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(uuid7(1_795_300_000_123), /^01a20038-017b-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(uuid4(), uuid4());
  });
  test("version 7 grows with time", () => assert.ok(uuid7(1) < uuid7(2) && uuid7(2 ** 40) < uuid7(2 ** 40 + 1)));
});

describe("languages", () => {
  const languages = ["en", "de", "pt-BR", "zh-Hans", "zh-Hant", "nb"];
  for (const [wanted, found] of [
    [["de"], "de"],
    [["de-AT"], "de"],
    [["DE"], "de"],
    [["pt-PT"], "pt-BR"],
    [["zh-TW"], "zh-Hant"],
    [["zh-Hant-HK"], "zh-Hant"],
    [["zh-CN"], "zh-Hans"],
    [["zh"], "zh-Hans"],
    [["zh-SG"], "zh-Hans"],
    [["no"], "nb"],
    [["no-NO"], "nb"],
    [["nn"], "en"],
    [["de_AT"], "en"],
    [["", "de"], "de"],
    [["fr", "de"], "de"],
    [["fr"], "en"],
    [[], "en"],
  ] as const) {
    test(`${wanted.join(", ") || "nothing"} gets ${found}`, () => assert.equal(pick(languages, wanted), found));
  }
});

test("parents of a host", () => {
  assert.deepEqual(parents("a.b.shop.example"), ["a.b.shop.example", "b.shop.example", "shop.example"]);
  assert.deepEqual(parents("localhost"), []);
  assert.deepEqual(parents("127.0.0.1"), []);
});

describe("a site with several regimes", () => {
  const strict = { $site: "k3y", $id: "0123", $scope: "a", $regime: "opt-in", $choice_days: 2, $categories: ["necessary", "analytics", "advertising"], $services: [] };
  const config = { ...strict, $variants: { us: { $id: "0123~us", $scope: "b", $regime: "opt-out", $preset: null } } } as unknown as Config;
  const toldBy = (dataset: Record<string, string>) => Object.defineProperty(globalThis, "document", { value: { currentScript: { dataset } }, configurable: true });
  toldBy({});
  test("begins with what a gate made the page's policy for, whatever was told before", () => {
    remember({ ...config, $id: "0123~us" });
    toldBy({ assentGate: "", assentRegime: "" });
    assert.equal(recall(config).$regime, "opt-in");
    remember(config);
    toldBy({ assentGate: "", assentRegime: "us" });
    assert.equal(recall(config).$regime, "opt-out");
    for (const name of ["atlantis", "__proto__", "constructor"]) {
      toldBy({ assentGate: "", assentRegime: name });
      assert.deepEqual({ ...recall(config) }, { ...config });
    }
    toldBy({});
  });
  test("begins with the strictest, and then with what the server told", () => {
    assert.equal(recall(config).$regime, "opt-in");
    remember({ ...config, $id: "0123~us" });
    assert.deepEqual([recall(config).$regime, recall(config).$scope, recall(config).$site], ["opt-out", "b", "k3y"]);
    remember(config);
    assert.equal(recall(config).$regime, "opt-in");
  });
  test("begins with the strictest where something else is kept", () => {
    for (const name of ["atlantis", "__proto__", "constructor", "toString"]) {
      remember({ ...config, $id: "0123~" + name });
      assert.deepEqual({ ...recall(config) }, { ...config });
    }
  });
  test("tells a visitor once, and again when the notice is another or long ago", () => {
    const mild = { ...config, $regime: "opt-out" } as Config;
    assert.equal(judge(told(mild), null, Date.now(), false), "ask");
    tell(mild);
    assert.equal(judge(told(mild), null, Date.now(), false), "idle");
    assert.equal(judge(told(mild), null, Date.now(), true), "signal");
    assert.equal(judge(told({ ...mild, $scope: "c" }), null, Date.now(), false), "ask");
    assert.equal(judge(told({ ...mild, $choice_days: 0 }), null, Date.now(), false), "ask");
  });
  test("has what is exempt before a choice, and nothing else", () => {
    const exempt = { ...config, $preset: { categories: { analytics: true, advertising: false }, services: {} } } as Config;
    assert.equal(granted(exempt, preset(exempt), "analytics"), true);
    assert.equal(granted(exempt, preset(exempt), "advertising"), false);
    assert.equal(granted(config, preset(config), "analytics"), false);
  });
});
