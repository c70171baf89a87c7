// Google Consent Mode v2, for gtag.js and Tag Manager.
// https://developers.google.com/tag-platform/security/guides/consent
// https://developers.google.com/tag-platform/tag-manager/templates/consent-apis (the seven types)
import { list, type Signal } from "./signal";

/**
 * @param types which category each of Google's types follows
 * @param layer name of the data layer
 * @param set what is set once, before any tag: url_passthrough, ads_data_redaction
 * @param wait how long tags may wait for a choice, in milliseconds; 0: not at all
 * @param regions ISO 3166-1 or 3166-2, where what holds is the default, and everything is granted elsewhere; none: everywhere
 */
export function consentMode(types: Readonly<Record<string, string>>, layer: string, set: readonly string[], wait: number, regions: readonly string[]): Signal {
  // Google tells a command from an event of the data layer by its being an Arguments object.
  const gtag: (...command: unknown[]) => void = function () {
    list(layer).push(arguments);
  };
  return (allowed, first, decided) => {
    const state = (granted: (key: string) => boolean) =>
      Object.fromEntries(Object.entries(types).map(([type, key]) => [type, granted(key) ? "granted" : "denied"]));
    if (first) {
      const initial = (values: object, region: object = {}) =>
        gtag("consent", "default", { ...values, ...(!decided && wait && { wait_for_update: wait }), ...region });
      const regional = !decided && regions.length;
      initial(state(allowed), regional ? { region: regions } : {});
      if (regional) initial(state(() => true));
      for (const name of set) gtag("set", name, true);
    }
    if (decided) gtag("consent", "update", state(allowed));
  };
}
