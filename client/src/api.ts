// window.assent: a thin face of the boot, and of what it loads when somebody decides.
import type { Assent } from "../assent";
import type { Boot } from "./boot";

export function expose(b: Boot): Assent {
  const later =
    <K extends "open" | "set" | "withdraw">(name: K) =>
    async (...args: Parameters<Assent[K]>) =>
      ((await b.$decider())[name] as (...args: Parameters<Assent[K]>) => Promise<void>)(...args);
  return {
    get: b.get,
    allowed: (key) => b.allowed(key),
    on: b.on,
    open: later("open"),
    set: later("set"),
    withdraw: later("withdraw"),
    ready: Promise.resolve(b.get()),
  };
}
