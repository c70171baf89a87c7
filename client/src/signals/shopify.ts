// Shopify Customer Privacy API.
// https://shopify.dev/docs/api/customer-privacy
import type { Signal } from "./signal";

type Consent = Readonly<Record<string, boolean>>;

interface Shopify {
  loadFeatures?(features: readonly { name: string; version: string }[], done: (error: unknown) => void): void;
  customerPrivacy: {
    currentVisitorConsent(): Readonly<Record<string, string>>;
    setTrackingConsent(consent: Consent, done: () => void): void;
  };
}

/** @param purposes which category each of Shopify's purposes follows */
export function shopify(purposes: Readonly<Record<string, string>>): Signal {
  return (allowed, first, decided) => {
    const say = () => {
      const shop = (window as unknown as { Shopify?: Shopify }).Shopify;
      shop?.loadFeatures?.([{ name: "consent-tracking-api", version: "0.1" }], (error) => {
        if (error) return;
        const { customerPrivacy: privacy } = shop;
        const before = privacy.currentVisitorConsent();
        const consent = Object.fromEntries(Object.entries(purposes).map(([purpose, key]) => [purpose, allowed(key)]));
        // Setting makes a request; Shopify remembers what it knows.
        if (Object.keys(consent).some((purpose) => before[purpose] !== (consent[purpose] ? "yes" : "no"))) {
          privacy.setTrackingConsent(consent, () => {});
        }
      });
    };
    if (!first) say();
    // The shop's own code comes later in the page. Before a choice Shopify's own default for the region holds.
    else if (decided) document.addEventListener("DOMContentLoaded", say);
  };
}
