// Cookies and storage that scripts of the page itself write: refused by name.
import type { Kind } from "../config";

type May = (kind: Kind, name: string) => boolean;

/** From now on names that may() refuses are dropped silently. It is asked at every write. */
export function hook(may: May): void {
  cookies(may);
  const { setItem } = Storage.prototype;
  Storage.prototype.setItem = function (...pair: [string, string]) {
    // Fewer than two arguments are an error of the page, as ever.
    if (pair.length < 2 || may(kindOf(this), String(pair[0]))) setItem.apply(this, pair);
  };
}

function kindOf(storage: Storage): Kind {
  try {
    return storage === sessionStorage ? "session_storage" : "local_storage";
  } catch {
    return "local_storage";
  }
}

function cookies(may: May): void {
  const native = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
  if (native?.get && native.set) {
    const { get, set } = native;
    Object.defineProperty(Document.prototype, "cookie", {
      ...native,
      get,
      set(this: Document, line: string) {
        const text = String(line);
        if (deletes(text) || may("cookie", nameOf(text))) set.call(this, text);
      },
    });
  }
  // Only in secure contexts, and not yet in every browser.
  const store = (window as Partial<Pick<Window & typeof globalThis, "CookieStore">>).CookieStore;
  if (!store) return;
  const { set } = store.prototype;
  store.prototype.set = function (this: CookieStore, ...args: [string | CookieInit, string?]) {
    const name = typeof args[0] === "string" ? args[0] : args[0].name;
    return may("cookie", name) ? (set as (...all: unknown[]) => Promise<void>).apply(this, args) : Promise.resolve();
  } as CookieStore["set"];
}

function nameOf(line: string): string {
  const pair = line.split(";", 1)[0]!;
  return pair.includes("=") ? pair.slice(0, pair.indexOf("=")).trim() : "";
}

/** A cookie that is already over only removes something. */
function deletes(line: string): boolean {
  const age = /;\s*max-age\s*=\s*(-?\d+)/i.exec(line);
  if (age) return Number(age[1]) <= 0;
  const expires = /;\s*expires\s*=([^;]*)/i.exec(line);
  return !!expires && Date.parse(expires[1]!) < Date.now();
}
