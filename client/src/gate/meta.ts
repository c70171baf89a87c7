// The policy of the tag way: a meta element before the page's own tags. A policy
// cannot be loosened in a live page, only tightened by a second one.
import type { Config } from "../config";
import type { Selection } from "../decision";
import { policy } from "../policy";

/** Puts the policy in place; false when the choice needs none. Without a selection it is the strictest. */
export function enforce(config: Config, selection: Selection | null, consentOrigin: string): boolean {
  const content = policy(config, selection, location.host, consentOrigin);
  if (!content) return false;
  const meta = document.createElement("meta");
  meta.httpEquiv = "Content-Security-Policy";
  meta.content = content;
  document.head.prepend(meta);
  return true;
}
