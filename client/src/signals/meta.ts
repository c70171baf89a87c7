// Meta Pixel.
// https://developers.facebook.com/docs/meta-pixel/implementation/gdpr (consent)
// https://developers.facebook.com/docs/meta-pixel/implementation/data-processing-options (Limited Data Use)
import { once, type Signal } from "./signal";

interface Pixel {
  (...command: unknown[]): void;
  /** Commands that wait for the library. */
  queue: unknown[];
  /** There once the library is. */
  callMethod?: unknown;
}

/** Pauses the pixel until it may be used. */
export function meta(key: string): Signal {
  return pixel((allowed) => ["consent", allowed(key) ? "grant" : "revoke"]);
}

/** The pixel runs, and a refusal becomes Limited Data Use: for opt-outs in the United States; 0, 0 lets Meta find the state. */
export function metaLimited(key: string): Signal {
  return pixel((allowed) => (allowed(key) ? ["dataProcessingOptions", []] : ["dataProcessingOptions", ["LDU"], 0, 0]));
}

function pixel(command: (allowed: (key: string) => boolean) => unknown[]): Signal {
  return (allowed, first) => {
    const page = window as unknown as { fbq?: Pixel };
    if (first) {
      // What is said first has to be heard before "init", which the page's own code queues.
      once("fbq", () => (page.fbq!.callMethod ? page.fbq!(...command(allowed)) : page.fbq!.queue.unshift(command(allowed))));
    } else page.fbq?.(...command(allowed));
  };
}
