// Removes the databases and caches of refused services.
import type { Config } from "../config";

/** Deletes every declared database and cache that refused() says. */
export async function dropDatabases(config: Config, refused: (name: string) => boolean): Promise<void> {
  const trackers = config.$services.flatMap((service) => service.trackers);
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
