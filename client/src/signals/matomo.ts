// Matomo: no request before a yes, or requests without cookies.
// https://developer.matomo.org/guides/tracking-consent
import { list, type Signal } from "./signal";

/** Nothing is tracked before a yes. */
export function matomo(key: string): Signal {
  return paq(key, "Consent");
}

/** Before a yes Matomo counts without cookies. */
export function matomoCookies(key: string): Signal {
  return paq(key, "CookieConsent");
}

function paq(key: string, what: string): Signal {
  return (allowed, first) => {
    const call = (method: string) => list("_paq").push([method]);
    if (first) call("require" + what);
    if (allowed(key)) call(`set${what}Given`);
    else if (!first) call(`forget${what}Given`);
  };
}
