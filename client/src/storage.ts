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
    this._name = cookieName(config.site);
    this._domain = cookieDomain(config.domains, location.hostname);
    this._seconds = config.choice_days * 86_400;
  }

  /** The key of the second copy; a storage event with it comes from another tab. */
  get key(): string {
    return this._name;
  }

  /** The newest readable copy. */
  read(): Choice | null {
    const prefix = this._name + "=";
    let newest = decode(local()?.getItem(this._name) ?? "", LONGEST);
    for (const pair of document.cookie.split("; ")) {
      const choice = pair.startsWith(prefix) ? decode(pair.slice(prefix.length)) : null;
      if (choice && (!newest || choice.time > newest.time)) newest = choice;
    }
    return newest;
  }

  write(choice: Choice): void {
    const value = encode(choice);
    const scope = this._domain && "; Domain=" + this._domain;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${this._name}=${value}; Path=/; Max-Age=${this._seconds}; SameSite=Lax${scope}${secure}`;
    try {
      local()?.setItem(this._name, value);
    } catch {
      // Full: the cookie alone has to do.
    }
  }
}

/** Local storage, or undefined where the browser refuses it. */
export function local(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** Session storage, or undefined where the browser refuses it. */
export function session(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
}
