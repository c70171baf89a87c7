// The end of a script that was loaded by a boot. The server sees to it that it fits: a
// boot of another version or compiler gets the whole script instead, which takes its place.
import type { Boot, Carrier } from "./boot";
import type { Parts } from "./core";

/** Hands the boot that asked for this script to what the script brings. */
export function extend(bring: (b: Boot) => void): void {
  const script = document.currentScript as Carrier;
  bring(script.b as Boot);
  script.d!();
}

/** Parts that wait until they are asked for. */
export function add(b: Boot, parts: Parts): void {
  b.$parts = { ...b.$parts, ...parts };
}
