// Removes what refused services have left behind, as far as a page can: cookies
// with HttpOnly and other origins' storage are out of its reach.
import type { Kind } from "../config";
import { parents } from "../hosts";
import { jar, local, session } from "../storage";

type Refused = (kind: Kind, name: string) => boolean;

/** Whether there is anything to remove. */
export function leftovers(refused: Refused): boolean {
  return (
    jar().some((pair) => pair && refused("cookie", nameOf(pair))) ||
    Object.keys(local).some((name) => refused("local_storage", name)) ||
    Object.keys(session).some((name) => refused("session_storage", name))
  );
}

/** Removes everything that refused(kind, name) says. */
export function sweep(refused: Refused): void {
  for (const pair of jar()) if (pair && refused("cookie", nameOf(pair))) expire(nameOf(pair));
  clear(local, (name) => refused("local_storage", name));
  clear(session, (name) => refused("session_storage", name));
}

function nameOf(pair: string): string {
  return pair.split("=", 1)[0]!;
}

function clear(storage: Storage, refused: (name: string) => boolean): void {
  for (const name of Object.keys(storage).filter(refused)) storage.removeItem(name);
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
