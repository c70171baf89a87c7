// Cookies, storage, databases and caches that scripts of the page itself write:
// refused by name.
import type { Kind } from "../config";
import { quietly, safely } from "../safely";

type May = (kind: Kind, name: string) => boolean;
type Method = (this: unknown, ...args: unknown[]) => unknown;

/**
 * From now on names that may() refuses are dropped silently; it is asked at every
 * write. Returns what removes the items that came past the hooks: a page assigns
 * them (localStorage.x = 1), or a frame of its own writes them.
 */
export function hook(may: May): () => void {
  // What was there before the page is the site's own, or swept by declaration.
  // (A proxy in front of the storage would see assignments at once, but it is no
  // Storage: new StorageEvent("storage", { storageArea: localStorage }) throws.)
  const areas = (["local_storage", "session_storage"] as const).map((kind) => {
    const area: object = quietly(() => (kind < "m" ? localStorage : sessionStorage)) ?? {};
    return [kind, area as Storage, Object.keys(area)] as const;
  });
  cookies(may);
  replace(Storage, "setItem", (native) =>
    function (...pair) {
      if (may(areas[+(this === areas[1]![1])]![0], `${pair[0]}`)) native.apply(this, pair);
    },
  );
  replace(IDBFactory, "open", (native) =>
    function (...args) {
      if (may("indexed_db", `${args[0]}`)) return native.apply(this, args);
      // A request that fails as requests do, an event later: a throw would end the script that
      // stands around it. It is none of the browser's: what is opened, aborted or deleted while
      // a page is left can keep the next page's requests from ever being answered (Chromium).
      const request = new EventTarget() as EventTarget & Record<string, unknown>;
      const type = IDBOpenDBRequest.prototype;
      // What that has works on requests of the browser only.
      for (const name in type) request[name] ??= null;
      request.error = new DOMException("", "AbortError");
      setTimeout(() => {
        const event = new Event("error");
        request.dispatchEvent(event);
        (request.onerror as Method | null)?.(event);
      });
      return Object.setPrototypeOf(request, type);
    },
  );
  // The others exist only in secure contexts, and not yet in every browser. Caches go
  // by the names of databases: both are made with an open(name).
  const { CacheStorage: caches, CookieStore: jar } = window as Partial<typeof globalThis>;
  replace(caches, "open", (native) =>
    async function (...args) {
      if (may("indexed_db", `${args[0]}`)) return native.apply(this, args);
      throw new DOMException("", "AbortError");
    },
  );
  replace(jar, "set", (native) =>
    async function (...args) {
      if (may("cookie", (args[0] as CookieInit).name ?? args[0])) return native.apply(this, args);
    },
  );
  return () => {
    for (const [kind, area, before] of areas) {
      for (const name of Object.keys(area)) before.includes(name) || may(kind, name) || area.removeItem(name);
    }
  };
}

/** A page that froze one prototype keeps the hooks of the others. */
function replace(type: { prototype: unknown } | undefined, name: string, make: (native: Method) => Method): void {
  if (type)
    safely(() => {
      const methods = type.prototype as Record<string, Method>;
      methods[name] = make(methods[name]!);
    });
}

function cookies(may: May): void {
  safely(() => {
    const native = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
    if (!native) return;
    Object.defineProperty(Document.prototype, "cookie", {
      ...native,
      set(line) {
        const text = `${line}`;
        const [, name = ""] = /^\s*([^=;]*?)\s*=/.exec(text) ?? [];
        if (deletes(text) || may("cookie", name)) native.set!.call(this, text);
      },
    });
  });
}

/** A cookie that is already over only removes something. */
function deletes(line: string): boolean {
  const part = (name: string) => RegExp(`;\\s*${name}\\s*=([^;]*)`, "i").exec(line)?.[1];
  const age = part("max-age");
  return age ? parseInt(age) <= 0 : Date.parse(part("expires")!) < Date.now();
}
