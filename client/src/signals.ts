// Signals that a browser sends. Those that a page's tools want to receive
// (Consent Mode and its like) get a file each beside this one and a line in
// the parts that start takes.

import type { Config } from "./config";
import { quietly } from "./safely";

/** Global Privacy Control (W3C draft): the visitor's browser refuses for them. */
export function gpc(): boolean {
  return (navigator as Navigator & { readonly globalPrivacyControl?: boolean }).globalPrivacyControl === true;
}

/** Do Not Track (W3C, retired in 2019), for sites that take it as a refusal. */
export function dnt(config: Config): Config {
  return quietly(() => navigator.doNotTrack) === "1" && config.$regime !== "notice-only" ? { ...config, $else: "signal" } : config;
}
