// Which hosts belong to the site. No DOM.

const ADDRESS = /^(\d+\.){3}\d+$|^\[/;

/** An IP address or a single name: cookies cannot be scoped to it, and it has no subdomains. */
export function isBare(host: string): boolean {
  return ADDRESS.test(host) || !host.includes(".");
}

/** Whether host (without port) is domain or lies under it. */
export function within(host: string, domain: string): boolean {
  return host === domain || (!ADDRESS.test(domain) && host.endsWith("." + domain));
}

/** The Domain attribute for a page's host, or "" for a host-only cookie: the longest of the site's domains. */
export function cookieDomain(domains: readonly string[], host: string): string {
  let best = "";
  for (const domain of domains) {
    if (within(host, domain) && domain.length > best.length) best = domain;
  }
  return isBare(best) ? "" : best;
}

/** The longest of the site's domains that covers host, or "": hosts under the same one share their cookie. */
export function covering(domains: readonly string[], host: string): string {
  return domains.filter((domain) => within(host, domain)).sort((a, b) => b.length - a.length)[0] ?? "";
}

/** host and every domain above it, the widest last: a.b.example, b.example. */
export function parents(host: string): string[] {
  if (isBare(host)) return [];
  const labels = host.split(".");
  return labels.slice(1).map((_, i) => labels.slice(i).join("."));
}

/** Whether a host, with its port where that is not the usual one, is what a service declares: a host, or *.host for all below it. */
export function fits(declared: string, host: string): boolean {
  return host === declared || (declared[0] === "*" && host.endsWith(declared.slice(1)));
}
