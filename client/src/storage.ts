// Where a choice is kept: a first-party cookie, which subdomains share, and a
// second copy in local storage for browsers that shorten the life of cookies.
import type { Config } from "./config";
import { cookieName, decode, encode } from "./cookie";
import type { Choice } from "./decision";
import { cookieDomain } from "./hosts";
import { quietly } from "./safely";

/** Hundreds of services that differ from their category fit into local storage only. */
const LONGEST = 65_536;

/** The newest readable copy. */
export function read(config: Config): Choice | null {
  const key = cookieName(config.$site);
  let newest = decode(local.getItem(key) ?? "", LONGEST);
  for (const pair of jar()) {
    const choice = pair.startsWith(key + "=") ? decode(pair.slice(key.length + 1)) : null;
    if (choice && (!newest || choice.time > newest.time)) newest = choice;
  }
  return newest;
}

export function write(config: Config, choice: Choice): void {
  const key = cookieName(config.$site);
  const value = encode(choice);
  const domain = cookieDomain(config.$domains, location.hostname);
  const scope = domain && "; Domain=" + domain;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  // Full: the cookie alone has to do.
  keep(local, key, value);
  quietly(() => {
    // In a sandbox the choice lasts as long as the page.
    document.cookie = `${key}=${value}; Path=/; Max-Age=${config.$choice_days * 86_400}; SameSite=Lax${scope}${secure}`;
  });
}

/** "name=value" of every cookie that the page may read; a sandbox has none. */
export function jar(): string[] {
  return quietly(() => document.cookie)?.split("; ") ?? [];
}

/** Where the browser refuses storage, what a page keeps lasts as long as the page. */
class Brief {
  [name: string]: unknown;
  getItem(name: string): unknown {
    return this[name];
  }
  setItem(name: string, value: string): void {
    this[name] = value;
  }
  removeItem(name: string): void {
    delete this[name];
  }
}

/** Only the three methods above and Object.keys may be used on these. */
export const local = quietly(() => localStorage) ?? (new Brief() as unknown as Storage);
export const session = quietly(() => sessionStorage) ?? (new Brief() as unknown as Storage);

/** Writes an item; false where there is no room, or a page lets nobody write. */
export function keep(area: Storage, name: string, value: string): boolean {
  return !!quietly(() => (area.setItem(name, value), true));
}
