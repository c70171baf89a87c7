// Elements that wait for a choice: <script type="text/plain" data-assent="…">,
// <iframe data-src="…" data-assent="…"> and their like.
import type { Boot } from "../boot";
import { safely } from "../safely";
import { trusted } from "../trusted";
import { redirectWrites, writes } from "./write";

const SELECTOR = "[data-assent]";
/** Attributes that an element may keep back as data-…. */
const HELD = ["src", "srcset", "href", "data", "poster"];

/** Whether a new node is such an element, holds one, or ends the text of a script that is one. */
function waits(node: Node): boolean {
  const before = node.previousSibling;
  return (
    (node instanceof Element && (node.matches(SELECTOR) || node.querySelector(SELECTOR) !== null)) ||
    (before instanceof HTMLScriptElement && before.matches(SELECTOR))
  );
}

/** Returns what releases every element whose keys are all allowed; new elements are released by themselves. */
export function markup(allowed: (key: string) => boolean, boot: Boot): () => void {
  const done = new WeakSet<Element>();
  /** Scripts run in the order in which they stand. */
  let chain: Promise<void> = Promise.resolve();

  function release(): void {
    for (const element of document.querySelectorAll<HTMLElement>(SELECTOR)) {
      if (done.has(element)) continue;
      const keys = (element.dataset["assent"] ?? "").split(/\s+/).filter(Boolean);
      if (!keys.length || !keys.every(allowed)) continue;
      if (element instanceof HTMLScriptElement) {
        // The parser may still be reading the text of the last script.
        if (document.readyState === "loading" && !element.nextSibling && !element.src && !element.dataset["src"]) return;
        done.add(element);
        run(element);
      } else {
        done.add(element);
        for (const name of HELD) {
          const value = element.getAttribute("data-" + name);
          if (value !== null) element.setAttribute(name, value);
        }
      }
    }
  }

  function run(inert: HTMLScriptElement): void {
    const live = document.createElement("script");
    for (const { name, value } of inert.attributes) {
      if (!/^(type|nonce|data-(assent|type|src))$/.test(name)) live.setAttribute(name, value);
    }
    const { type, src } = inert.dataset;
    if (type) live.type = type;
    if (src) live.src = trusted(boot, "createScriptURL", src);
    live.nonce = inert.nonce || boot.$nonce;
    live.text = trusted(boot, "createScript", inert.text);
    // A dynamic script is async unless told otherwise.
    live.async = inert.hasAttribute("async");
    redirectWrites(live, boot);
    if (live.async || type === "module") {
      inert.replaceWith(live);
      return;
    }
    chain = chain.then(
      () =>
        new Promise<void>((next) => {
          // Data blocks have no load event.
          const loads = live.src && (!type || /script/i.test(type));
          if (loads) live.onload = live.onerror = () => next();
          inert.replaceWith(live);
          if (loads) return;
          writes(live);
          next();
        }),
    );
  }

  document.addEventListener("DOMContentLoaded", release);
  safely(() =>
    new MutationObserver((records) => {
      if (records.some((record) => [...record.addedNodes].some(waits))) release();
    }).observe(document, { childList: true, subtree: true }),
  );
  return release;
}
