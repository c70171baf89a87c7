// The end of a script that was loaded by a boot.
import type { Boot, Carrier } from "./boot";
import { Core, type Parts } from "./core";
import { trusted } from "./trusted";

/** Hands the parts to the boot that asked for them; one of another version is followed by the whole script. */
export function extend(id: string, parts: Parts): void {
  const script = document.currentScript as Carrier | null;
  const boot = script?.b;
  if (!boot) return console.warn("Assent: this script is loaded by the boot");
  if (boot.i === id) {
    grow(boot as Boot, parts);
    return script.d?.();
  }
  const whole = document.createElement("script") as Carrier;
  whole.b = boot;
  if (script.d) whole.d = script.d;
  whole.nonce = script.nonce;
  // …/b/KEY/ask.de.js is a part of …/b/KEY.js.
  whole.src = trusted(boot, "createScriptURL", script.src.replace(/\/[^/]*$/, ".js"));
  document.head.append(whole);
}

export function grow(boot: Boot, parts: Parts): void {
  (boot.$core ??= new Core(boot)).$extend(parts);
}
