// Removes the databases, caches and service workers of refused services.
import type { Boot } from "../boot";
import type { Kind } from "../config";

/** Whatever becomes of the request. */
function over(request: IDBOpenDBRequest): Promise<unknown> {
  return new Promise((done) => (request.onsuccess = request.onerror = request.onblocked = done));
}

/**
 * Deletes every database, cache and service worker that only refused services declare; resolves
 * when they are gone, or cannot go as long as the page holds them. Begins nothing while the page is left.
 */
export async function dropDatabases(b: Boot): Promise<void> {
  const refused = (kind: Kind, name: string) => b.$declared(kind, name) === false;
  const names = (...kinds: Kind[]) =>
    b.$config.$services.flatMap(({ trackers }) => trackers.filter(([kind, name]) => kinds.includes(kind) && refused(kind, name)).map(([, name]) => name));
  const databases = names("indexed_db");
  // The browser may refuse each of them here, or know no caches and workers outside secure contexts.
  await Promise.allSettled([
    (async () => {
      if (!databases.length) return;
      // What is not there is not deleted: most pages ask for nothing.
      const known = (await indexedDB.databases?.())?.map((db) => db.name ?? "") ?? databases;
      if (b.$leaving) return;
      await Promise.all(known.filter((name) => refused("indexed_db", name)).map((name) => over(indexedDB.deleteDatabase(name))));
    })(),
    (async () => {
      // They share their names with databases.
      if (!names("cache", "indexed_db").length) return;
      for (const name of await caches.keys()) if (refused("indexed_db", name)) await caches.delete(name);
    })(),
    (async () => {
      if (!names("service_worker").length) return;
      // A worker goes by its script's address or by what it controls: whole, or without the page's own origin.
      for (const worker of await navigator.serviceWorker.getRegistrations()) {
        const { scriptURL = "" } = worker.active ?? worker.waiting ?? worker.installing ?? {};
        const addresses = [scriptURL, worker.scope].flatMap((url) => [url, url.replace(location.origin, "")]);
        if (addresses.some((name) => refused("service_worker", name))) await worker.unregister();
      }
    })(),
  ]);
}
