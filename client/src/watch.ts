// What the page wanted and did not get, kept from its first tag on until report.ts has come.
import type { Kind } from "./config";

/** What the browser has blocked, or a name that was refused. */
export type Wanted = SecurityPolicyViolationEvent | readonly [kind: Kind, name: string];

export function watch(want: (what: Wanted) => void): void {
  addEventListener("securitypolicyviolation", want);
}
