// Reads the choice from where it is kept; see storage.ts.
import type { Config } from "./config";
import { cookieName, decode, LONGEST } from "./cookie";
import type { Choice } from "./decision";
import { quietly } from "./safely";

/** The newest readable copy. */
export function read(config: Config): Choice | null {
  const key = cookieName(config.$site);
  let newest = decode(quietly(() => localStorage.getItem(key)) ?? "", LONGEST);
  for (const pair of jar()) {
    const choice = pair.startsWith(key + "=") ? decode(pair.slice(key.length + 1)) : null;
    if (choice && choice.time > (newest?.time ?? 0)) newest = choice;
  }
  return newest;
}

/** "name=value" of every cookie that the page may read; a sandbox has none. */
export function jar(): string[] {
  return quietly(() => document.cookie)?.split("; ") ?? [];
}
