// The databases of refused services.
import type { Service } from "../config";
import { matches } from "../trackers";

/** Deletes the databases that the services declare. */
export async function dropDatabases(services: readonly Service[]): Promise<void> {
  const patterns = services.flatMap((s) => s.trackers.filter(([kind]) => kind === "indexed_db").map(([, name]) => name));
  if (!patterns.length) return;
  try {
    const known = (await indexedDB.databases?.())?.map((db) => db.name ?? "") ?? [];
    for (const name of [...known, ...patterns.filter((p) => !p.includes("*"))]) {
      if (patterns.some((pattern) => matches(pattern, name))) indexedDB.deleteDatabase(name);
    }
  } catch {
    // The browser refuses databases here, so there are none.
  }
}
