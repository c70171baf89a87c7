// Removes what refused services have left behind, as far as a page can: cookies
// with HttpOnly and other origins' storage are out of its reach.
import type { Kind } from "../config";
import { parents } from "../hosts";
import { jar, local, session } from "../storage";

/** Removes everything that refused(kind, name) says. */
export function sweep(refused: (kind: Kind, name: string) => boolean): void {
  for (const pair of jar()) {
    const name = pair.split("=", 1)[0]!;
    if (pair && refused("cookie", name)) expire(name);
  }
  clear(local, (name) => refused("local_storage", name));
  clear(session, (name) => refused("session_storage", name));
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
