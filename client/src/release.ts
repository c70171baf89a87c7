// Lets marked elements go when their keys are allowed.
import type { Boot } from "./boot";
import type { markup } from "./gate/markup";
import { safely } from "./safely";

export function release(b: Boot, mark: typeof markup): void {
  // What the policy would only break waits for the next page.
  b.$release = safely(() => mark((key) => b.allowed(key) && (!b.$limit || b.allowed(key, b.$limit)), b));
}
