// What the tools of a page are told about the choice. Each tool has a module of its
// own beside this one; a site's script holds those of the tools that it uses.
// Names of third parties must not start with "$" or "_" and a letter where they stand as
// a property: the compiler would shorten them. Give such a name as a text.
import type { Boot, Carrier } from "../boot";
import { safely } from "../safely";

/**
 * Tells one tool. Called before any tag of the page, and after every decision, in this
 * tab or another one.
 * @param allowed whether a category or service may be used; true to the moment, whenever it is called
 * @param first nothing has been said on this page
 * @param decided the visitor has made a choice, or a signal of the browser makes it; false: this is what holds until then
 */
export type Signal = (allowed: (key: string) => boolean, first: boolean, decided: boolean) => void;

/** All of a site's signals as one part of the boot; one that fails keeps no other from being sent. */
export function tell(all: readonly Signal[]): (b: Boot) => void {
  return (b) => {
    const say = (first: boolean) =>
      safely(() => all.forEach((signal) => safely(() => signal((key) => b.allowed(key), first, !first || b.$verdict !== "ask"))));
    b.$tell = () => void say(false);
    // A boot of another version, whose place this one takes, has said the first word.
    say(!(document.currentScript as Carrier | null)?.b);
  };
}

/** A global list that the tool's own code takes over when it comes. */
export function list<T = unknown>(name: string): T[] {
  return ((window as unknown as Record<string, T[]>)[name] ??= []);
}

/**
 * Calls back when a global exists: at once, or when the script that makes it has ended,
 * and so before any other script can run. For tools whose code gives up
 * when it finds its global taken, so that a list in its place would break them.
 */
export function once(name: string, then: () => void): void {
  if ((window as unknown as Record<string, unknown>)[name]) return then();
  Object.defineProperty(window, name, {
    configurable: true,
    set(value: unknown) {
      Object.defineProperty(window, name, { value, configurable: true, enumerable: true, writable: true });
      void Promise.resolve().then(then);
    },
  });
}
