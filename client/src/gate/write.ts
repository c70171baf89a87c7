// A script that is released after the page was read and calls document.write
// would blank the page. What it writes goes behind the script instead.
import type { Stale } from "../boot";
import { trusted } from "../trusted";

// Made when it is needed: nothing that a page can break may run before the policy is in.
/** What the released scripts have written, and the document for their late callbacks; weak, so that a script which the page drops is freed. */
let buffers: WeakMap<Node, string> | undefined;

/** Marks a script as released; the first one hooks document.write. */
export function redirectWrites(script: HTMLScriptElement, boot: Stale): void {
  if (buffers) return void buffers.set(script, "");
  const all = (buffers = new WeakMap<Node, string>([[script, ""]]));
  const hook = (name: "write" | "writeln" | "open", end: string) => {
    const native = document[name] as (...args: unknown[]) => unknown;
    document[name] = ((...args: unknown[]) => {
      const { currentScript: script } = document;
      const writer = script && all.has(script) ? script : document;
      // The page's own scripts write as ever while the page is being read. With three arguments open() is window.open.
      if ((writer === document && document.readyState === "loading") || (!end && args[2])) return native.apply(document, args);
      // To open a page that has been read would blank it, too.
      if (!end) return document;
      const before = all.get(writer);
      // When the script is through.
      if (!before) queueMicrotask(() => insert(writer));
      return void all.set(writer, (before ?? "") + args.join("") + end.slice(1));
    }) as never;
  };
  const insert = (writer: Node) => {
    const part = document.createRange().createContextualFragment(trusted(boot, "createHTML", all.get(writer)!));
    all.set(writer, "");
    const body = document.body as HTMLElement | null;
    if (writer !== body && body?.contains(writer)) (writer as Element).after(part);
    else body?.append(part);
  };
  hook("write", " ");
  hook("writeln", " \n");
  hook("open", "");
}
