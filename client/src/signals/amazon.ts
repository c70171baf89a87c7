// Amazon Consent Signal, for the Amazon Ad Tag. The site loads Amazon's
// amzn-consent.js before the tag; it keeps the cookie "amzn_consent".
// https://advertising.amazon.com/help/GKJQ7E8SE9BRG73Q
import { once, type Signal } from "./signal";

interface Builder {
  setCountryCode(code: string): Builder;
  setEnableAdStorage(value: boolean): Builder;
  setEnableUserData(value: boolean): Builder;
  build(): void;
}

/** @param country whose law applies, ISO 3166-1 alpha-2; Amazon refuses data without */
export function amazon(key: string, country: string): Signal {
  return (allowed, first) => {
    const page = window as unknown as { amznConsent?: () => Builder };
    const say = () => page.amznConsent?.().setCountryCode(country).setEnableAdStorage(allowed(key)).setEnableUserData(allowed(key)).build();
    if (first) once("amznConsent", say);
    else say();
  };
}
