// Which names services declare. No DOM.
import type { Config, Kind } from "./config";
import { granted, type Selection } from "./decision";

/** Whether name matches a pattern, in which * stands for any run of characters. */
export function matches(pattern: string, name: string): boolean {
  const [head, ...rest] = pattern.split("*");
  if (!rest.length) return name === pattern;
  const tail = rest.pop()!;
  if (!name.startsWith(head!) || name.length < head!.length + tail.length || !name.endsWith(tail)) return false;
  // Between head and tail the first fit of each part is as good as any other.
  let at = head!.length;
  const end = name.length - tail.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Whether a granted service, a refused one, or none declares the name. Databases and caches share their names: "indexed_db" asks for both. */
export function declared(config: Config, selection: Selection, kind: Kind, name: string): boolean | undefined {
  let answer: boolean | undefined;
  for (const service of config.$services) {
    if (service.trackers.some(([k, pattern]) => (k === kind || kind + k === "indexed_dbcache") && matches(pattern, name))) {
      if (granted(config, selection, service.key)) return true;
      answer = false;
    }
  }
  return answer;
}
