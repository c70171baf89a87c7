// Piwik PRO, Consent Manager API, with a consent form of one's own.
// https://developers.piwik.pro/docs/overview-consent-manager-js-api
import { list, type Signal } from "./signal";

interface Settings {
  readonly consents?: Readonly<Record<string, { readonly status: number } | undefined>>;
}

type Api = (command: string, ...rest: unknown[]) => void;

/**
 * @param types which category each of Piwik PRO's types follows
 * @param layer name of the data layer
 */
export function piwikPro(types: Readonly<Record<string, string>>, layer: string): Signal {
  return (allowed, first, decided) => {
    const page = window as unknown as { ppms?: { cm?: { api?: Api } } };
    // What the container's code makes where it is not there yet.
    const api: Api = (command, ...parameters) => {
      const real = page.ppms?.cm?.api;
      if (real) real(command, ...parameters);
      else list(layer).push({ event: "ppms.cm:" + command, parameters });
    };
    const say = () =>
      api("setComplianceSettings", { consents: Object.fromEntries(Object.entries(types).map(([type, key]) => [type, { status: +allowed(key) }])) }, () => {});
    if (!first) say();
    // Setting is counted as a decision: only where Piwik PRO does not know it.
    else if (decided) {
      api("getComplianceSettings", ({ consents }: Settings) => {
        if (Object.keys(types).some((type) => consents?.[type]?.status !== +allowed(types[type]!))) say();
      });
    }
  };
}
