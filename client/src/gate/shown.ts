// On a site with placeholders, what is shown once is released like what is allowed.
import type { markup } from "./markup";

export function shown(mark: typeof markup): typeof markup {
  return (allowed, b) => mark((key) => !!b.$shown?.has(key) || allowed(key), b);
}
