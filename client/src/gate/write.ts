// A script that is released after the page was read and calls document.write
// would blank the page. What it writes goes behind the script instead.
import type { Stale } from "../boot";
import { trusted } from "../trusted";

// Made when they are needed: nothing that a page can break may run before the policy is in.
// Keys are the released scripts, and null for their late callbacks.
let buffers: Map<unknown, string> | undefined;
let trust: Stale | undefined;

/** Marks a script as released; the first one hooks document.write. */
export function redirectWrites(script: HTMLScriptElement, boot: Stale): void {
  trust = boot;
  script.addEventListener("load", () => writes(script));
  if (buffers) return void buffers.set(script, "");
  const all = (buffers = new Map<unknown, string>([[script, ""]]));
  for (const name of ["write", "writeln"] as const) {
    const native = document[name] as (this: Document, ...text: string[]) => void;
    document[name] = function (...text: string[]) {
      const script = document.currentScript;
      const writer = all.has(script) ? script : null;
      // The page's own scripts write as ever while the page is being read.
      if (!writer && document.readyState === "loading") return native.apply(document, text);
      if (!writer && !all.get(null)) queueMicrotask(() => writes(null));
      all.set(writer, (all.get(writer) ?? "") + text.join("") + (name === "writeln" ? "\n" : ""));
    };
  }
}

/** Inserts what a script has written while it ran; null stands for its late callbacks. */
export function writes(script: HTMLScriptElement | null): void {
  const html = buffers?.get(script);
  buffers?.set(script, "");
  if (!html) return;
  const body = document.body as HTMLElement | null;
  const part = document.createRange().createContextualFragment(trusted(trust!, "createHTML", html));
  if (script && body?.contains(script)) script.after(part);
  else body?.append(part);
}
