// Microsoft Clarity, consent API v2.
// https://learn.microsoft.com/clarity/setup-and-installation/clarity-consent-api-v2
import type { Signal } from "./signal";

interface Clarity {
  (...command: unknown[]): void;
  q?: unknown[];
}

/** @param ads the category of advertising, which Clarity asks for by itself */
export function clarity(key: string, ads: string): Signal {
  return (allowed) => {
    const page = window as unknown as { clarity?: Clarity };
    // The tag of Clarity takes a queue of this form over.
    const call = (page.clarity ??= function () {
      (call.q ??= []).push(arguments);
    });
    const state = (of: string) => (allowed(of) ? "granted" : "denied");
    call("consentv2", { ad_Storage: state(ads), analytics_Storage: state(key) });
  };
}
