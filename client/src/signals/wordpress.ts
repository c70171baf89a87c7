// WP Consent API, which plug-ins for WordPress read.
// https://wordpress.org/plugins/wp-consent-api/
// https://github.com/WordPress/wp-consent-level-api
import type { Signal } from "./signal";

interface Page {
  wp_consent_type?: string;
  wp_set_consent?(category: string, value: "allow" | "deny"): void;
}

/**
 * @param type optin or optout: what plug-ins assume before a choice
 * @param levels which category each of WordPress's categories follows
 */
export function wordpress(type: string, levels: Readonly<Record<string, string>>): Signal {
  return (allowed, first, decided) => {
    const page = window as unknown as Page;
    const say = () => {
      for (const level of Object.keys(levels)) page.wp_set_consent?.(level, allowed(levels[level]!) ? "allow" : "deny");
    };
    if (!first) return say();
    page.wp_consent_type = type;
    // Plug-ins listen once the page is there.
    document.addEventListener("DOMContentLoaded", () => {
      document.dispatchEvent(new CustomEvent("wp_consent_type_defined"));
      if (decided) say();
    });
  };
}
