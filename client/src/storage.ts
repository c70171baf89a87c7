// Where a choice is kept: a first-party cookie, which subdomains share, and a
// second copy in local storage for browsers that shorten the life of cookies.
import type { Config } from "./config";
import { cookieName, encode } from "./cookie";
import type { Choice } from "./decision";
import { cookieDomain } from "./hosts";
import { quietly } from "./safely";

export function write(config: Config, domains: readonly string[], choice: Choice): void {
  const key = cookieName(config.$site);
  const value = encode(choice);
  const domain = cookieDomain(domains, location.hostname);
  const scope = domain && "; Domain=" + domain;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  // Full: the cookie alone has to do.
  keep(local, key, value);
  quietly(() => {
    // In a sandbox the choice lasts as long as the page.
    document.cookie = `${key}=${value}; Path=/; Max-Age=${config.$choice_days * 86_400}; SameSite=Lax${scope}${secure}`;
  });
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

/** Writes an item; false where there is no room, or a page lets nobody write. */
export function keep(area: Storage, name: string, value: string): boolean {
  return !!quietly(() => (area.setItem(name, value), true));
}
