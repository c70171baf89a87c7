// PostHog.
// https://posthog.com/docs/privacy/data-collection
import { list, type Signal } from "./signal";

export function posthog(key: string): Signal {
  return (allowed) => {
    // Before its code comes, and after, "push" takes a call. Without a name opting in sends no event of its own.
    list("posthog").push(allowed(key) ? ["opt_in_capturing", { captureEventName: false }] : ["opt_out_capturing"]);
  };
}
