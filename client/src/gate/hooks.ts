// Cookies, storage, databases and caches that scripts of the page itself write:
// refused by name.
import type { Kind } from "../config";
import { safely } from "../safely";
import { local, session } from "../storage";

type May = (kind: Kind, name: string) => boolean;

/**
 * From now on names that may() refuses are dropped silently; it is asked at every
 * write. Returns what removes the items that came past the hooks: a page assigns
 * them (localStorage.x = 1), or a frame of its own writes them.
 */
export function hook(may: May): () => void {
  // A page that froze one prototype keeps the hooks of the others.
  safely(() => cookies(may));
  safely(() => databases(may));
  safely(() => items(may));
  // What was there before the page is the site's own, or swept by declaration.
  // (A proxy in front of the storage would see assignments at once, but it is no
  // Storage: new StorageEvent("storage", { storageArea: localStorage }) throws.)
  const areas = ([["local_storage", local], ["session_storage", session]] as const).map(
    ([kind, area]) => [kind, area, new Set(Object.keys(area))] as const,
  );
  return () => {
    for (const [kind, area, before] of areas) {
      for (const name of Object.keys(area)) if (!before.has(name) && !may(kind, name)) area.removeItem(name);
    }
  };
}

function items(may: May): void {
  const { setItem } = Storage.prototype;
  Storage.prototype.setItem = function (...pair: [string, string]) {
    // Fewer than two arguments are an error of the page, as ever.
    if (pair.length < 2 || may(this === session ? "session_storage" : "local_storage", String(pair[0]))) setItem.apply(this, pair);
  };
}

/** Caches go by the names of databases: both are made with an open(name). */
function databases(may: May): void {
  const factory = IDBFactory.prototype;
  const { open } = factory;
  factory.open = function (...args) {
    // The right number of arguments is the page's business, as ever.
    if (!args.length || may("indexed_db", String(args[0]))) return open.apply(this, args);
    // A request that fails as requests do, an event later: a throw would end the
    // script that stands around it. An upgrade that is aborted leaves no database.
    const request = open.call(this, "assent_refused");
    request.addEventListener("upgradeneeded", (event) => {
      event.stopImmediatePropagation();
      request.transaction!.abort();
    });
    return request;
  };
  // Only in secure contexts.
  const store = (window as Partial<Pick<Window & typeof globalThis, "CacheStorage">>).CacheStorage?.prototype;
  if (!store) return;
  const cache = store.open;
  store.open = function (name) {
    return may("indexed_db", String(name))
      ? cache.call(this, name)
      : Promise.reject(new DOMException("Assent: refused", "SecurityError"));
  };
}

function cookies(may: May): void {
  const native = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
  const write = native?.set;
  if (write) {
    Object.defineProperty(Document.prototype, "cookie", {
      ...native,
      set(this: Document, line: string) {
        const text = String(line);
        if (deletes(text) || may("cookie", nameOf(text))) write.call(this, text);
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
