// Where a choice is kept: a first-party cookie, which subdomains share, and a
// second copy in local storage for browsers that shorten the life of cookies.
import type { Config } from "./config";
import { cookieName, decode, encode } from "./cookie";
import type { Choice } from "./decision";
import { cookieDomain } from "./hosts";
import { quietly } from "./safely";

/** Hundreds of services that differ from their category fit into local storage only. */
const LONGEST = 65_536;

export class Shelf {
  /** The key of the second copy; a storage event with it comes from another tab. */
  readonly $key: string;
  private readonly _domain: string;
  private readonly _seconds: number;

  constructor(config: Config) {
    this.$key = cookieName(config.$site);
    this._domain = cookieDomain(config.$domains, location.hostname);
    this._seconds = config.$choice_days * 86_400;
  }

  /** The newest readable copy. */
  $read(): Choice | null {
    const prefix = this.$key + "=";
    let newest = decode(local.getItem(this.$key) ?? "", LONGEST);
    for (const pair of jar()) {
      const choice = pair.startsWith(prefix) ? decode(pair.slice(prefix.length)) : null;
      if (choice && (!newest || choice.time > newest.time)) newest = choice;
    }
    return newest;
  }

  $write(choice: Choice): void {
    const value = encode(choice);
    const scope = this._domain && "; Domain=" + this._domain;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    // Full: the cookie alone has to do.
    keep(local, this.$key, value);
    quietly(() => {
      // In a sandbox the choice lasts as long as the page.
      document.cookie = `${this.$key}=${value}; Path=/; Max-Age=${this._seconds}; SameSite=Lax${scope}${secure}`;
    });
  }
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
