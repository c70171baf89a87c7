// Where a choice is kept: a first-party cookie, which subdomains share, and a
// second copy in local storage for browsers that shorten the life of cookies.
import type { Config } from "./config";
import { cookieName, decode, encode } from "./cookie";
import type { Choice } from "./decision";
import { cookieDomain } from "./hosts";

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
    const copies = document.cookie
      .split("; ")
      .filter((pair) => pair.startsWith(prefix))
      .map((pair) => pair.slice(prefix.length));
    copies.push(local()?.getItem(this._name) ?? "");
    let newest: Choice | null = null;
    for (const copy of copies) {
      const choice = decode(copy);
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
