// Removes the databases and caches of refused services.
import type { Boot } from "../boot";

/** Deletes every database and cache that only refused services declare. */
export async function dropDatabases(b: Boot): Promise<void> {
  const refused = (name: string) => b.$declared("indexed_db", name) === false;
  const trackers = b.$config.$services.flatMap((service) => service.trackers);
  const names = trackers.filter(([kind, name]) => kind === "indexed_db" && refused(name)).map(([, name]) => name);
  if (!names.length) return;
  try {
    const known = (await indexedDB.databases?.())?.map((db) => db.name ?? "") ?? [];
    for (const name of [...known, ...names]) if (refused(name)) indexedDB.deleteDatabase(name);
    for (const name of await caches.keys()) if (refused(name)) void caches.delete(name);
  } catch {
    // The browser refuses databases here, or knows no caches outside secure contexts.
  }
}
