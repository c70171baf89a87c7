// Removes the databases and caches of refused services.

/** Deletes every database and cache that refused() says; declared are the names that services declare. */
export async function dropDatabases(declared: readonly string[], refused: (name: string) => boolean): Promise<void> {
  const names = declared.filter(refused);
  if (!names.length) return;
  try {
    const known = (await indexedDB.databases?.())?.map((db) => db.name ?? "") ?? [];
    for (const name of [...known, ...names]) if (refused(name)) indexedDB.deleteDatabase(name);
    for (const name of await caches.keys()) if (refused(name)) void caches.delete(name);
  } catch {
    // The browser refuses databases here, or knows no caches outside secure contexts.
  }
}
