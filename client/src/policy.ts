// The Content-Security-Policy that a choice asks for (CSP Level 3). It limits
// where things come from and nothing else. No DOM.
import type { Config } from "./config";
import { granted, undeclared, type Selection } from "./decision";
import { isBare } from "./hosts";

/**
 * The policy as the content of a meta element, or "" when nothing is limited.
 * pageHost is host with port of the page, consentOrigin where the script came from.
 */
export function policy(config: Config, selection: Selection, pageHost: string, consentOrigin: string): string {
  if (undeclared(config, selection)) return "";
  const hosts = new Set([pageHost]);
  for (const domain of config.$domains) {
    hosts.add(domain + ":*");
    if (!isBare(domain) || domain === "localhost") hosts.add("*." + domain + ":*");
  }
  for (const service of config.$services) {
    if (granted(config, selection, service.key)) service.hosts.forEach((host) => hosts.add(host));
  }
  const sources = ["'self'", "'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'", "data:", "blob:", consentOrigin];
  for (const host of hosts) {
    // http: and ws: stand for https: and wss: too. Host sources know no IPv6 address.
    if (host && host[0] !== "[") sources.push("http://" + host, "ws://" + host);
  }
  return "default-src " + sources.join(" ");
}
