// The Content-Security-Policy that a choice asks for (CSP Level 3). It limits
// where things come from and nothing else. No DOM.
import type { Config } from "./config";
import { granted, undeclared, type Selection } from "./decision";

/**
 * The policy as the content of a meta element, or "" when nothing is limited.
 * pageHost is host with port of the page, consentOrigin where the script came from.
 * Without a selection nothing is known, and nothing is called that a page can
 * replace: the page's own host alone is left.
 */
export function policy(config: Config, selection: Selection | null, pageHost: string, consentOrigin: string): string {
  if (selection && undeclared(config, selection)) return "";
  let text = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: " + consentOrigin;
  const add = (host: string) => {
    // http: and ws: stand for https: and wss: too. Host sources know no IPv6 address.
    if (host && host[0] !== "[") text += ` http://${host} ws://${host}`;
  };
  add(pageHost);
  if (selection) {
    config.$own.forEach(add);
    for (const service of config.$services) if (granted(config, selection, service.key)) service.hosts.forEach(add);
  }
  return text;
}
