// A script that is released after the page was read and calls document.write
// would blank the page. What it writes goes behind the script instead.

const buffers = new Map<HTMLScriptElement | null, string>();
const released = new WeakSet<Element>();
let hooked = false;

/** Marks a script as released; the first one hooks document.write. */
export function redirectWrites(script: HTMLScriptElement): void {
  released.add(script);
  script.addEventListener("load", () => writes(script));
  if (hooked) return;
  hooked = true;
  for (const name of ["write", "writeln"] as const) {
    const native = document[name] as (this: Document, ...text: string[]) => void;
    document[name] = function (...text: string[]) {
      const script = document.currentScript;
      const ours = script instanceof HTMLScriptElement && released.has(script) ? script : null;
      // The page's own scripts write as ever while the page is being read.
      if (!ours && document.readyState === "loading") return native.apply(document, text);
      if (!ours && !buffers.has(null)) queueMicrotask(() => writes(null));
      buffers.set(ours, (buffers.get(ours) ?? "") + text.join("") + (name === "writeln" ? "\n" : ""));
    };
  }
}

/** Inserts what a script has written while it ran; null stands for its late callbacks. */
export function writes(script: HTMLScriptElement | null): void {
  const html = buffers.get(script);
  buffers.delete(script);
  if (!html) return;
  const body = document.body as HTMLElement | null;
  const part = document.createRange().createContextualFragment(html);
  if (script && body?.contains(script)) script.after(part);
  else body?.append(part);
}
