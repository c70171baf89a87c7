// What a withdrawal cannot remove.
import { NECESSARY, type Config } from "../config";
import type { Choice } from "../decision";

/**
 * Hosts of refused services that may have kept cookies of their own there: those
 * are out of a page's reach. Only a withdrawal says that there was something before.
 */
export function left(config: Config, choice: Choice): readonly string[] {
  if (choice.action !== "withdraw") return [];
  return config.$services
    .filter(({ category, trackers }) => category !== NECESSARY && trackers.some(([kind]) => kind === "cookie"))
    .flatMap(({ hosts }) => hosts);
}
