// What each tool is told, against the calls that its vendor documents: the address is
// in the module. window is a plain object here; the real libraries, as far as
// their makers publish them, are in internal/e2e/signals_test.go.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Boot } from "../src/boot";
import { adobe } from "../src/signals/adobe";
import { amazon } from "../src/signals/amazon";
import { clarity } from "../src/signals/clarity";
import { consentMode } from "../src/signals/consentMode";
import { matomo, matomoCookies } from "../src/signals/matomo";
import { meta, metaLimited } from "../src/signals/meta";
import { piwikPro } from "../src/signals/piwikPro";
import { posthog } from "../src/signals/posthog";
import { segment } from "../src/signals/segment";
import { shopify } from "../src/signals/shopify";
import { tell, type Signal } from "../src/signals/signal";
import { tagManager } from "../src/signals/tagManager";
import { tiktok } from "../src/signals/tiktok";
import { uet } from "../src/signals/uet";
import { wordpress } from "../src/signals/wordpress";

type Call = (...rest: unknown[]) => unknown;

let page: Record<string, unknown>;
let events: EventTarget;
let granted: Set<string>;
const allowed = (key: string) => granted.has(key);

beforeEach(() => {
  page = {};
  events = new EventTarget();
  granted = new Set(["necessary"]);
  Object.assign(globalThis, { window: page, document: events });
});

/** Before a choice. */
const starts = (signal: Signal) => signal(allowed, true, false);
/** A page of a visitor who has decided. */
const returns = (signal: Signal) => signal(allowed, true, true);
const changes = (signal: Signal, ...keys: string[]) => {
  granted = new Set(["necessary", ...keys]);
  signal(allowed, false, true);
};
/** Lets what waits for the end of a script happen. */
const scriptEnds = () => Promise.resolve();
const read = (name: string) => page[name] as unknown[];
const spread = (name: string) => read(name).map((item) => Array.from(item as ArrayLike<unknown>));

const types = {
  ad_storage: "advertising",
  ad_user_data: "advertising",
  ad_personalization: "advertising",
  analytics_storage: "analytics",
  functionality_storage: "functional",
  personalization_storage: "functional",
  security_storage: "necessary",
};
const state = (ads: string, analytics: string, functional: string) => ({
  ad_storage: ads,
  ad_user_data: ads,
  ad_personalization: ads,
  analytics_storage: analytics,
  functionality_storage: functional,
  personalization_storage: functional,
  security_storage: "granted",
});
const denied = state("denied", "denied", "denied");

describe("Google Consent Mode", () => {
  const google = (wait = 0, regions: string[] = [], set: string[] = []) => consentMode(types, "dataLayer", set, wait, regions);

  test("all seven types are denied by default, before any tag", () => {
    starts(google());
    assert.deepEqual(spread("dataLayer"), [["consent", "default", denied]]);
  });
  test("a command is an Arguments object: gtag.js takes nothing else for one", () => {
    starts(google());
    changes(google());
    for (const item of read("dataLayer")) assert.equal(Object.prototype.toString.call(item), "[object Arguments]");
  });
  test("a choice is an update", () => {
    const signal = google();
    starts(signal);
    changes(signal, "analytics");
    assert.deepEqual(spread("dataLayer")[1], ["consent", "update", state("denied", "granted", "denied")]);
  });
  test("a visitor who has decided gets default and update at once, and no tag waits", () => {
    granted.add("advertising");
    returns(google(500));
    const values = state("granted", "denied", "denied");
    assert.deepEqual(spread("dataLayer"), [["consent", "default", values], ["consent", "update", values]]);
  });
  test("tags wait for a choice as long as they are told", () => {
    starts(google(500));
    assert.deepEqual(spread("dataLayer"), [["consent", "default", { ...denied, wait_for_update: 500 }]]);
  });
  test("regions have the default that holds, the others everything", () => {
    starts(google(500, ["DE", "US-CA"]));
    assert.deepEqual(spread("dataLayer"), [
      ["consent", "default", { ...denied, wait_for_update: 500, region: ["DE", "US-CA"] }],
      ["consent", "default", { ...state("granted", "granted", "granted"), wait_for_update: 500 }],
    ]);
  });
  test("a refusal holds everywhere, whatever the regions are", () => {
    returns(google(0, ["DE"]));
    assert.deepEqual(spread("dataLayer"), [["consent", "default", denied], ["consent", "update", denied]]);
  });
  test("URL passthrough and redaction are set before any tag, and once", () => {
    const signal = google(0, [], ["url_passthrough", "ads_data_redaction"]);
    starts(signal);
    changes(signal);
    assert.deepEqual(spread("dataLayer").slice(1, 3), [["set", "url_passthrough", true], ["set", "ads_data_redaction", true]]);
    assert.equal(read("dataLayer").length, 4);
  });
  test("a data layer that is there already is kept", () => {
    page["dataLayer"] = [{ event: "before" }];
    starts(google());
    assert.equal(read("dataLayer").length, 2);
  });
});

test("a tag manager gets an event at every page view and decision", () => {
  const signal = tagManager("dataLayer", ["necessary", "analytics"]);
  starts(signal);
  changes(signal, "analytics");
  assert.deepEqual(read("dataLayer"), [
    { event: "assent_consent", assent: { necessary: true, analytics: false, decided: false } },
    { event: "assent_consent", assent: { necessary: true, analytics: true, decided: true } },
  ]);
});

test("Microsoft UET: default, then update, as three items of one push", () => {
  starts(uet("ads"));
  changes(uet("ads"), "ads");
  assert.deepEqual(page["uetq"], ["consent", "default", { ad_storage: "denied" }, "consent", "update", { ad_storage: "granted" }]);
});

describe("Microsoft Clarity", () => {
  test("before its tag: its queue", () => {
    granted.add("clarity");
    starts(clarity("clarity", "advertising"));
    const { q } = page["clarity"] as { q: ArrayLike<unknown>[] };
    assert.deepEqual(q.map((item) => Array.from(item)), [["consentv2", { ad_Storage: "denied", analytics_Storage: "granted" }]]);
  });
  test("after its tag: its function", () => {
    const calls: unknown[] = [];
    page["clarity"] = (...call: unknown[]) => calls.push(call);
    changes(clarity("clarity", "advertising"), "advertising");
    assert.deepEqual(calls, [["consentv2", { ad_Storage: "granted", analytics_Storage: "denied" }]]);
  });
});

describe("Meta Pixel", () => {
  /** What the pixel's base code and the two usual calls do. */
  function base() {
    if (page["fbq"]) return false;
    const fbq = (page["fbq"] = Object.assign((...call: unknown[]) => void fbq.queue.push(call), { queue: [] as unknown[] }));
    (page["fbq"] as Call)("init", "1");
    (page["fbq"] as Call)("track", "PageView");
    return true;
  }
  const queued = () => (page["fbq"] as { queue: unknown[] }).queue;

  test("the base code runs as ever, and consent is revoked before init", async () => {
    starts(meta("pixel"));
    assert.ok(base());
    await scriptEnds();
    assert.deepEqual(queued(), [["consent", "revoke"], ["init", "1"], ["track", "PageView"]]);
  });
  test("an acceptance grants after what was queued", async () => {
    const signal = meta("pixel");
    starts(signal);
    base();
    await scriptEnds();
    changes(signal, "pixel");
    assert.deepEqual(queued().at(-1), ["consent", "grant"]);
  });
  test("what was decided before the base code came is what it hears first", async () => {
    const signal = meta("pixel");
    starts(signal);
    changes(signal, "pixel");
    base();
    await scriptEnds();
    assert.deepEqual(queued()[0], ["consent", "grant"]);
  });
  test("a library that runs already is called", () => {
    const calls: unknown[] = [];
    page["fbq"] = Object.assign((...call: unknown[]) => calls.push(call), { queue: [], callMethod: () => {} });
    starts(meta("pixel"));
    assert.deepEqual(calls, [["consent", "revoke"]]);
  });
  test("the global is an ordinary one again", async () => {
    starts(meta("pixel"));
    base();
    await scriptEnds();
    assert.deepEqual(Object.keys(Object.getOwnPropertyDescriptor(page, "fbq")!).sort(), ["configurable", "enumerable", "value", "writable"]);
  });
  test("Limited Data Use for who opts out, none for who does not", async () => {
    const signal = metaLimited("pixel");
    starts(signal);
    base();
    await scriptEnds();
    changes(signal, "pixel");
    assert.deepEqual([queued()[0], queued().at(-1)], [["dataProcessingOptions", ["LDU"], 0, 0], ["dataProcessingOptions", []]]);
  });
});

describe("TikTok Pixel", () => {
  test("hold before a choice, grant and revoke after", () => {
    const signal = tiktok("pixel");
    starts(signal);
    changes(signal, "pixel");
    changes(signal);
    assert.deepEqual(page["ttq"], [["holdConsent"], ["grantConsent"], ["revokeConsent"]]);
  });
  test("the pixel's own methods, where they are", () => {
    const calls: string[] = [];
    page["ttq"] = Object.assign([], { grantConsent: () => calls.push("grant") });
    changes(tiktok("pixel"), "pixel");
    assert.deepEqual(calls, ["grant"]);
  });
});

test("Amazon: the builder, once the library is there and after every decision", async () => {
  const calls: unknown[] = [];
  const signal = amazon("ads", "DE");
  starts(signal);
  const builder: Record<string, Call> = { build: () => calls.push("build") };
  for (const name of ["setCountryCode", "setEnableAdStorage", "setEnableUserData"]) {
    builder[name] = (value) => {
      calls.push([name, value]);
      return builder;
    };
  }
  page["amznConsent"] = () => builder;
  await scriptEnds();
  const said = (value: boolean) => [["setCountryCode", "DE"], ["setEnableAdStorage", value], ["setEnableUserData", value], "build"];
  assert.deepEqual(calls.splice(0), said(false));
  changes(signal, "ads");
  assert.deepEqual(calls, said(true));
});

describe("Shopify", () => {
  const purposes = { analytics: "analytics", marketing: "advertising", preferences: "functional", sale_of_data: "advertising" };
  let set: unknown[];
  const shop = (known: Record<string, string>, error?: unknown) => {
    set = [];
    page["Shopify"] = {
      loadFeatures(features: unknown, done: Call) {
        assert.deepEqual(features, [{ name: "consent-tracking-api", version: "0.1" }]);
        done(error);
      },
      customerPrivacy: { currentVisitorConsent: () => known, setTrackingConsent: (consent: unknown) => set.push(consent) },
    };
  };

  test("a decision is set", () => {
    shop({ analytics: "", marketing: "", preferences: "", sale_of_data: "" });
    changes(shopify(purposes), "analytics");
    assert.deepEqual(set, [{ analytics: true, marketing: false, preferences: false, sale_of_data: false }]);
  });
  test("before a choice nothing is set", () => {
    starts(shopify(purposes));
    shop({});
    events.dispatchEvent(new Event("DOMContentLoaded"));
    assert.deepEqual(set, []);
  });
  test("a decision that Shopify did not hear is set on the next page, one that it knows is not", () => {
    returns(shopify(purposes));
    shop({ analytics: "yes", marketing: "no", preferences: "no", sale_of_data: "no" });
    events.dispatchEvent(new Event("DOMContentLoaded"));
    assert.equal(set.length, 1);
    shop({ analytics: "no", marketing: "no", preferences: "no", sale_of_data: "no" });
    events.dispatchEvent(new Event("DOMContentLoaded"));
    assert.deepEqual(set, []);
  });
  test("an interface that cannot be loaded is not called", () => {
    shop({}, Error("blocked"));
    changes(shopify(purposes));
    assert.deepEqual(set, []);
  });
  test("a page without a shop is fine", () => changes(shopify(purposes)));
});

test("WP Consent API: the type before plug-ins ask, the categories after a decision", () => {
  const signal = wordpress("optin", { functional: "necessary", preferences: "functional", statistics: "analytics", marketing: "advertising" });
  const calls: unknown[] = [];
  page["wp_set_consent"] = (...call: unknown[]) => calls.push(call);
  let defined = 0;
  events.addEventListener("wp_consent_type_defined", () => defined++);
  starts(signal);
  assert.equal(page["wp_consent_type"], "optin");
  events.dispatchEvent(new Event("DOMContentLoaded"));
  assert.deepEqual([defined, calls.length], [1, 0]);
  changes(signal, "analytics");
  assert.deepEqual(calls, [["functional", "allow"], ["preferences", "deny"], ["statistics", "allow"], ["marketing", "deny"]]);
});

describe("Adobe Web SDK", () => {
  const consent = (val: string) => ["setConsent", { consent: [{ standard: "Adobe", version: "2.0", value: { collect: { val } } }] }];
  const queued = () => (page["alloy"] as { q: [Call, Call, unknown[]][] }).q.map(([, , command]) => command);
  const call = (...command: unknown[]) => void (page["alloy"] as Call)(...command);

  test("stands in for the base code, which leaves it alone", () => {
    starts(adobe("alloy"));
    assert.deepEqual(page["__alloyNS"], ["alloy"]);
    assert.equal(typeof page["alloy"], "function");
  });
  test("consent goes between configuration and the first event", () => {
    granted.add("alloy");
    returns(adobe("alloy"));
    call("configure", {});
    call("sendEvent");
    assert.deepEqual(queued(), [["configure", {}], consent("y"), ["sendEvent"]]);
  });
  test("a refusal makes no request: the site's default holds", () => {
    const signal = adobe("alloy");
    starts(signal);
    call("configure", {});
    changes(signal);
    assert.deepEqual(queued(), [["configure", {}]]);
  });
  test("a withdrawal is told", () => {
    const signal = adobe("alloy");
    starts(signal);
    call("configure", {});
    changes(signal, "alloy");
    changes(signal);
    assert.deepEqual(queued().slice(1), [consent("y"), consent("n")]);
  });
});

describe("Matomo", () => {
  test("no request without consent", () => {
    const signal = matomo("matomo");
    starts(signal);
    changes(signal, "matomo");
    changes(signal);
    assert.deepEqual(page["_paq"], [["requireConsent"], ["setConsentGiven"], ["forgetConsentGiven"]]);
  });
  test("no cookie without consent", () => {
    const signal = matomoCookies("matomo");
    granted.add("matomo");
    returns(signal);
    changes(signal);
    assert.deepEqual(page["_paq"], [["requireCookieConsent"], ["setCookieConsentGiven"], ["forgetCookieConsentGiven"]]);
  });
});

describe("Piwik PRO", () => {
  const signal = piwikPro({ analytics: "analytics", remarketing: "advertising" }, "dataLayer");
  const settings = { consents: { analytics: { status: 1 }, remarketing: { status: 0 } } };

  test("before its container: the container's queue", () => {
    changes(signal, "analytics");
    const [item] = read("dataLayer") as { event: string; parameters: unknown[] }[];
    assert.equal(item!.event, "ppms.cm:setComplianceSettings");
    assert.deepEqual(item!.parameters[0], settings);
    assert.equal(typeof item!.parameters[1], "function", "the callback is required");
  });
  test("after it: its interface, on a page load only what it does not know", () => {
    const calls: unknown[] = [];
    let known: unknown = {};
    const api = (command: string, first: unknown) => (command === "getComplianceSettings" ? (first as Call)(known) : calls.push([command, first]));
    page["ppms"] = { cm: { api } };
    granted.add("analytics");
    starts(signal);
    assert.deepEqual(calls, []);
    returns(signal);
    assert.deepEqual(calls.splice(0), [["setComplianceSettings", settings]]);
    known = settings;
    returns(signal);
    assert.deepEqual(calls, []);
  });
});

test("PostHog: opts out and in, without an event of its own", () => {
  const signal = posthog("posthog");
  starts(signal);
  changes(signal, "posthog");
  assert.deepEqual(page["posthog"], [["opt_out_capturing"], ["opt_in_capturing", { captureEventName: false }]]);
});

describe("Segment", () => {
  const signal = segment("segment", ["analytics", "advertising"]);

  test("no event passes without a yes, and with one it carries the preferences", () => {
    starts(signal);
    const [[method, middleware]] = read("analytics") as [[string, Call]];
    assert.equal(method, "addSourceMiddleware");
    const passed: unknown[] = [];
    const event = () => middleware({ payload: { obj: { context: {} } }, next: (payload: unknown) => passed.push(payload) });
    event();
    assert.deepEqual(passed, []);
    granted = new Set(["segment", "analytics"]);
    event();
    assert.deepEqual(passed, [{ obj: { context: { consent: { categoryPreferences: { analytics: true, advertising: false } } } } }]);
  });
  test("a change that allows it is told", () => {
    const calls: unknown[] = [];
    page["analytics"] = { track: (event: string) => calls.push(event) };
    changes(signal);
    changes(signal, "segment");
    assert.deepEqual(calls, ["Segment Consent Preference Updated"]);
  });
});

test("one tool that fails keeps no other from hearing", () => {
  const errors: unknown[] = [];
  const { error } = console;
  console.error = (what: unknown) => errors.push(what);
  const heard: unknown[] = [];
  const boot = { allowed, $verdict: "ask" } as unknown as Boot;
  const all = tell([
    () => {
      throw Error("broken");
    },
    (_, first, decided) => heard.push([first, decided]),
  ]);
  all(boot);
  all({ ...boot, $verdict: "" } as Boot);
  all({ ...boot, $verdict: "signal" } as Boot);
  boot.$tell!();
  // A boot of another version stands in the page.
  Object.assign(events, { currentScript: { b: {} } });
  all(boot);
  console.error = error;
  assert.equal(errors.length, 5);
  assert.deepEqual(heard, [[true, false], [true, true], [true, true], [false, true], [false, true]]);
});
