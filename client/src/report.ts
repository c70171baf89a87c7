// Tells the site's owner which hosts and names its pages use that no service
// declares: how often, and on pages of which kind. Nothing that is sent is about
// the visitor: no ID, no query, and what looks like one in a path or a name is *.
import type { Boot } from "./boot";
import type { Kind } from "./config";
import { within } from "./hosts";

/** What the browser has blocked, or a name that was refused; the boot keeps it from the page's first tag on. */
export type Wanted = SecurityPolicyViolationEvent | readonly [kind: Kind, name: string];

/** How many rows one page sends. */
const ROWS = 20;
/** The first report waits for others, in milliseconds; the rest leaves with the page. */
const PAUSE = 5000;

/** What is kept of a path; see PageClass in internal/stats. */
export function pageClass(path: string): string {
  const plain = /^(?!.*([a-f]{8}|[a-z][A-Z].*[a-z][A-Z]))[A-Za-z._~-]{1,24}$/;
  const parts = path.split("/").filter(Boolean).slice(0, 4);
  return "/" + parts.map((part) => (plain.test(part) ? part : "*")).join("/");
}

/** What is kept of a name; see NameClass in internal/stats, which also cuts it. */
export function nameClass(name: string): string {
  return name.replace(/([^]*(@|%40)[^]*|[^ -~]+|[\da-f-]{8,}|[a-z]{25,}|\d[a-z\d]*|\*)+/gi, "*");
}

/** Takes over what was wanted so far, and what will be. */
export function report(boot: Boot): void {
  const { $config: config, $origin: origin, $wanted: early } = boot;
  const { $domains: domains } = boot.$parts!.$question!;
  const blocked = (boot.$blocked = new Set());
  let rows: Record<string, { count: number }> = {};
  let room = ROWS;
  let timer = 0;

  const send = () => {
    const events = Object.values(rows);
    rows = {};
    // A string is sent as text/plain, which needs no preflight. Lost is lost.
    if (events.length) navigator.sendBeacon(origin + "/v1/events", JSON.stringify({ site: config.$site, events }));
  };
  const note = (kind: Kind, name: string, allowed: boolean, directive?: string) => {
    const row = { type: allowed ? "allowed" : "blocked", kind, name, directive, page: pageClass(location.pathname), count: 1 };
    const key = JSON.stringify(row);
    const same = rows[key];
    if (same) same.count++;
    else if (room-- > 0) rows[key] = row;
    timer ||= window.setTimeout(send, PAUSE);
  };
  const request = (url: string, allowed: boolean, directive: string) => {
    // Neither inline code nor data: nor what the visitor's own extensions want.
    if (!/^(http|ws)s?:/.test(url)) return;
    const { host, hostname } = new URL(url);
    if (origin.endsWith("/" + host) || domains.some((own) => within(hostname, own))) return;
    if (!allowed) blocked.add(host);
    const fits = (declared: string) => host === declared || (declared[0] === "*" && host.endsWith(declared.slice(1)));
    if (!config.$services.some((service) => service.hosts.some(fits))) note("request", host, allowed, directive);
  };
  const take = (what: Wanted): number => {
    // A refused name that a service declares is nothing new.
    if (!("disposition" in what)) boot.$declared(...what) === undefined && note(what[0], nameClass(what[1].slice(0, 200)), false);
    else if (what.disposition === "enforce") request(what.blockedURI, false, what.effectiveDirective);
    return 1;
  };

  (early as Wanted[]).forEach(take);
  boot.$wanted = { push: take };
  // Where no policy is in place, what was loaded is looked at.
  if (!boot.$limit) {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) request(entry.name, true, (entry as PerformanceResourceTiming).initiatorType);
    }).observe({ type: "resource", buffered: true });
  }
  addEventListener("pagehide", send);
}
