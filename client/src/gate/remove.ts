// Removes what refused services have left behind, as far as a page can: cookies
// with HttpOnly and other origins' storage are out of its reach.
import type { Boot } from "../boot";
import type { Kind } from "../config";
import { parents } from "../hosts";
import { jar } from "../stored";
import { quietly } from "../safely";

/** What only refused services declare, and what removes each. */
function* found(b: Boot): Generator<() => void> {
  const refused = (kind: Kind, name: string) => b.$declared(kind, name) === false;
  for (const name of jarNames()) if (refused("cookie", name)) yield () => expire(name);
  for (const kind of ["local_storage", "session_storage"] as const) {
    // Where the browser refuses storage there is nothing.
    const area = quietly(() => (kind === "local_storage" ? localStorage : sessionStorage));
    for (const name of Object.keys(area ?? {})) if (refused(kind, name)) yield () => area!.removeItem(name);
  }
}

/** The names of the cookies that the page may read, each once. */
export function jarNames(): Set<string> {
  return new Set(jar().flatMap((pair) => pair.split("=", 1).filter(Boolean)));
}

/** Whether there is anything to remove. */
export function leftovers(b: Boot): boolean {
  return !found(b).next().done;
}

/** Removes everything that only refused services declare. */
export function sweep(b: Boot): void {
  for (const remove of found(b)) remove();
}

/**
 * A cookie is only removed by the domain, path and partition that it was set with, and a page
 * cannot read those: all are tried until none of the name is left. A name with __Host- or
 * __Secure- asks for Secure, whatever is done to it.
 */
function expire(name: string): void {
  // Browsers differ in where they let a page name Secure without TLS.
  const flags = ["", "; Secure", "; Secure; Partitioned"];
  for (const domain of ["", location.hostname, ...parents(location.hostname)]) {
    for (const path of paths()) {
      for (const flag of flags) {
        if (!jarNames().has(name)) return;
        document.cookie = `${name}=; Max-Age=0; Path=${path}${domain && "; Domain=" + domain}${flag}`;
      }
    }
  }
}

/** "/", "/a", "/a/", "/a/b" … of the page's own path. */
function paths(): string[] {
  const { pathname: path } = location;
  const all = ["/"];
  for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) all.push(path.slice(0, at), path.slice(0, at + 1));
  return [...all, path];
}
