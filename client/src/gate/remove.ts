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
  for (const pair of jar()) {
    const name = pair.split("=", 1)[0]!;
    if (pair && refused("cookie", name)) yield () => expire(name);
  }
  for (const kind of ["local_storage", "session_storage"] as const) {
    // Where the browser refuses storage there is nothing.
    const area = quietly(() => (kind === "local_storage" ? localStorage : sessionStorage));
    for (const name of Object.keys(area ?? {})) if (refused(kind, name)) yield () => area!.removeItem(name);
  }
}

/** Whether there is anything to remove. */
export function leftovers(b: Boot): boolean {
  return !found(b).next().done;
}

/** Removes everything that only refused services declare. */
export function sweep(b: Boot): void {
  for (const remove of found(b)) remove();
}

/** A cookie is only removed by the domain, path and partition that it was set with, and a page cannot read those. */
function expire(name: string): void {
  const domains = ["", location.hostname, ...parents(location.hostname)];
  const secure = location.protocol === "https:" ? ["; Secure", "; Secure; Partitioned"] : [""];
  for (const domain of domains) {
    for (const path of paths()) {
      for (const flags of secure) {
        document.cookie = `${name}=; Max-Age=0; Path=${path}${domain && "; Domain=" + domain}${flags}`;
      }
    }
  }
}

/** "/", "/a", "/a/", "/a/b" … of the page's own path. */
function paths(): string[] {
  const all = ["/"];
  let path = "";
  for (const part of location.pathname.split("/").filter(Boolean).slice(0, 8)) {
    path += "/" + part;
    all.push(path, path + "/");
  }
  return all;
}
