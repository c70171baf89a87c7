// Pages may demand that only a named policy makes scripts and mark-up from text
// (W3C Trusted Types, require-trusted-types-for 'script'). Ours is called "assent";
// a page that lists its policies has to list it.
import type { Stale, TrustedTypes } from "./boot";

interface Factory {
  createPolicy(name: string, rules: TrustedTypes): TrustedTypes;
}

export function trusted(boot: Stale, kind: keyof TrustedTypes, text: string): string {
  const types = (window as { trustedTypes?: Factory }).trustedTypes;
  if (!types) return text;
  const same = (value: string) => value;
  return (boot.t ??= types.createPolicy("assent", { createHTML: same, createScript: same, createScriptURL: same }))[kind](text);
}
