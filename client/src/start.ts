// The ways in: the boot that stands in the page, and the tag that brings everything.
import { expose } from "./api";
import { boot, type Boot, type BootParts, type Carrier } from "./boot";
import type { Config } from "./config";

/** Without a working boot it is not known whether anything is granted, and so nothing is. */
export function begin(config: Config, parts: BootParts, origin: string, script: Carrier, ask: (b: Boot) => void, rest?: (b: Boot) => void): void {
  let b: Boot;
  try {
    b = boot(config, parts, origin, script, ask);
  } catch (error) {
    parts.$enforce?.(config, null, origin);
    throw error;
  }
  rest?.(b);
  // The whole script takes the place of a boot of another version.
  Object.defineProperty(window, "assent", { value: expose(b), configurable: true });
}

/** The boot in the page, which loads what the page needs. */
export function inline(config: Config, parts: BootParts): void {
  begin(config, parts, config.$origin, document.currentScript as Carrier, need);
}

export function need(b: Boot): void {
  b.$need(/k|g/.test(b.$verdict) ? "ask" : "core");
}

/** The tag: once per page, whatever the page does with it. */
export function tag(config: Config, parts: BootParts, rest: (b: Boot) => void): void {
  let script: Carrier | null = null;
  let origin = "";
  try {
    script = (document.currentScript ?? document.querySelector(`script[src*="/b/${config.$site}.js"]`)) as Carrier | null;
    // An element with the ID "assent" has that name on window, too.
    if (!script?.b && typeof window.assent?.allowed === "function") return console.warn("Assent: the tag is here twice");
    if (!script) throw Error("Assent: the tag is no script");
    origin = new URL(script.src, location.href).origin;
  } catch (error) {
    parts.$enforce?.(config, null, origin);
    throw error;
  }
  const stale = script.b;
  begin(config, parts, origin, script, () => {}, (b) => {
    if (stale) {
      // The boot in the page is of another version, or began with another regime: its hooks and listeners stay, this one decides.
      if (stale.i.slice(0, 72) !== b.i.slice(0, 72)) console.warn("Assent: the boot in this page is out of date");
      document.querySelector("assent-consent")?.remove();
      b.l = stale.l;
      if (stale.t) b.t = stale.t;
      stale.n = b;
      // Its policy stays, too.
      if (b.$limit) b.$limit = stale.s;
      stale.s = b.s;
      b.on("change", () => (stale.s = b.s));
    } else if (parts.$enforce && (document.scripts[0] !== script || script.async || script.defer)) {
      console.warn("Assent: the tag is not the first script");
    }
    rest(b);
  });
  script.d?.();
}
