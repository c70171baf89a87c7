// The way in: once per page, whatever the page does with the tag.
import { expose } from "./api";
import { Boot, type BootParts, type Carrier } from "./boot";
import type { Config } from "./config";

/** Starts the boot; rest is what stands in the same script behind it, else it is loaded. */
export function start(config: Config, parts: BootParts, rest?: (boot: Boot) => void): void {
  let boot: Boot;
  let script: Carrier | null = null;
  let origin = config.$origin;
  try {
    script = (document.currentScript ?? document.querySelector(`script[src*="/b/${config.$site}.js"]`)) as Carrier | null;
    // An element with the ID "assent" has that name on window, too.
    if (!script?.b && typeof window.assent?.allowed === "function") return console.warn("Assent: the tag is here twice");
    if (!script) throw Error("Assent: the tag is no script");
    origin ||= new URL(script.src, location.href).origin;
    boot = new Boot(config, parts, origin, "assentGate" in script.dataset);
  } catch (error) {
    // Whether anything is granted is not known, and so nothing is.
    parts.$enforce?.(config, null, origin);
    throw error;
  }
  if (parts.$enforce && !script.b && (document.scripts[0] !== script || script.async || script.defer)) {
    console.warn("Assent: the tag is not the first script");
  }
  boot.$hook(script);
  if (script.b) boot.$follow(script.b);
  if (rest) rest(boot);
  else boot.$need(["ask", "signal"].includes(boot.$verdict) ? "ask" : "core").catch(console.error);
  Object.defineProperty(window, "assent", { value: Object.freeze(expose(boot)), configurable: true });
  script.d?.();
}
