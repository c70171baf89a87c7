// Where a choice is kept: a first-party cookie, which subdomains share, and a
// second copy in local storage for browsers that shorten the life of cookies.
import type { Config } from "./config";
import { cookieName, decode, encode } from "./cookie";
import type { Choice } from "./decision";
import { cookieDomain } from "./hosts";

/** Hundreds of services that differ from their category fit into local storage only. */
const LONGEST = 65_536;

export class Shelf {
  private readonly _name: string;
  private readonly _domain: string;
  private readonly _seconds: number;

  constructor(config: Config) {
    this._name = cookieName(config.$site);
    this._domain = cookieDomain(config.$domains, location.hostname);
    this._seconds = config.$choice_days * 86_400;
  }

  /** The key of the second copy; a storage event with it comes from another tab. */
  get key(): string {
    return this._name;
  }

  /** The newest readable copy. */
  read(): Choice | null {
    const prefix = this._name + "=";
    let newest = decode(local.getItem(this._name) ?? "", LONGEST);
    for (const pair of jar()) {
      const choice = pair.startsWith(prefix) ? decode(pair.slice(prefix.length)) : null;
      if (choice && (!newest || choice.time > newest.time)) newest = choice;
    }
    return newest;
  }

  write(choice: Choice): void {
    const value = encode(choice);
    const scope = this._domain && "; Domain=" + this._domain;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    try {
      local.setItem(this._name, value);
    } catch {
      // Full: the cookie alone has to do.
    }
    try {
      document.cookie = `${this._name}=${value}; Path=/; Max-Age=${this._seconds}; SameSite=Lax${scope}${secure}`;
    } catch {
      // A sandbox: the choice lasts as long as the page.
    }
  }
}

/** "name=value" of every cookie that the page may read; a sandbox has none. */
export function jar(): string[] {
  try {
    return document.cookie.split("; ");
  } catch {
    return [];
  }
}

/** Where the browser refuses storage, what a page keeps lasts as long as the page. */
class Brief {
  [name: string]: unknown;
  getItem(name: string): unknown {
    return this[name] ?? null;
  }
  setItem(name: string, value: string): void {
    this[name] = value;
  }
  removeItem(name: string): void {
    delete this[name];
  }
}

function attempt(get: () => Storage): Storage {
  try {
    return get();
  } catch {
    return new Brief() as unknown as Storage;
  }
}

/** Only the three methods above and Object.keys may be used on these. */
export const local = attempt(() => localStorage);
export const session = attempt(() => sessionStorage);
