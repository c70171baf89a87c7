// Segment's analytics.js: events wait for a yes, and carry the preferences, as Segment's
// own wrappers for consent platforms have it.
// https://segment.com/docs/connections/sources/catalog/libraries/website/javascript/middleware/
// https://segment.com/docs/privacy/consent-management/configure-consent-management/
import { list, type Signal } from "./signal";

interface Payload {
  readonly obj: { context: Record<string, unknown> };
}

/** @param categories whose preferences events carry; their keys are those of Segment's consent categories */
export function segment(key: string, categories: readonly string[]): Signal {
  return (allowed, first) => {
    const call = (...command: unknown[]) => {
      const analytics = list("analytics") as unknown[] & Record<string, ((...rest: unknown[]) => void) | undefined>;
      const [method, ...rest] = command as [string, ...unknown[]];
      if (analytics[method]) analytics[method](...rest);
      else analytics.push(command);
    };
    if (first) {
      call("addSourceMiddleware", ({ payload, next }: { payload: Payload; next: (payload: Payload) => void }) => {
        if (!allowed(key)) return;
        payload.obj.context["consent"] = { categoryPreferences: Object.fromEntries(categories.map((of) => [of, allowed(of)])) };
        next(payload);
      });
    } else if (allowed(key)) call("track", "Segment Consent Preference Updated");
  };
}
