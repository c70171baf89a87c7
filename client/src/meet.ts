// Everything that waits for the page, the visitor, or another tab.
import type { App } from "./app";
import type { Boot } from "./boot";
import { quietly } from "./safely";

export function open(b: Boot): void {
  // What opens them may have to be loaded, too: both at once.
  if (!b.$parts!.$preferences) b.$need("more");
  call(b, (app) => app.open());
}

function call(b: Boot, what: (app: App) => void): void {
  b.$decider().then(what).catch(console.error);
}

export function meet(b: Boot): void {
  const { $site: site } = b.$config;
  const parts = b.$parts!;
  document.addEventListener("click", (event) => {
    if (!(event.target as Element).closest?.("[data-assent-open]")) return;
    event.preventDefault();
    open(b);
  });
  // The choice, or what waits to be sent: both have the site in their names.
  addEventListener("storage", (event) => event.key?.includes(site) && call(b, (app) => app.$news()));
  // "Back" may bring a page as it was before the choice.
  addEventListener("pageshow", (event) => event.persisted && call(b, (app) => app.$news(true)));
  const tidy = () => {
    b.$app?.$sweep();
    b.$tidy?.();
  };
  addEventListener("pagehide", tidy);
  const loaded = () => {
    tidy();
    // Without the part that decides: something of a refused service, or a decision that was not sent, may be left.
    if (b.$app) b.$app.$settle();
    else if (parts.$leftovers?.(b) || quietly(() => Object.keys(localStorage).join().includes("queue_" + site))) call(b, () => {});
  };
  if (!parts.$markup) seek(b);
  if (document.readyState === "complete") loaded();
  else addEventListener("load", loaded);
}

/** Marked elements are released by a part of its own, which most pages need not load. */
function seek(b: Boot): void {
  const look = () => {
    if (!document.querySelector("[data-assent]")) return;
    watch.disconnect();
    b.$need("mark");
  };
  const watch = new MutationObserver(look);
  watch.observe(document, { childList: true, subtree: true });
  look();
}
