// Tells the site's server that a page was viewed and what became of the banner, so
// that it can count. Nothing is stored in the browser and nothing that is sent is about
// the visitor: no ID, no query beyond the campaign's own words, the path's class only.
import type { Boot } from "./boot";
import { pageClass } from "./report";
import { safely } from "./safely";

/** What happens within this time is sent together, in milliseconds; the rest leaves with the page. */
const PAUSE = 1000;

/** Counts the page; with a category its view only once that is granted. */
export function count(b: Boot, category?: string): void {
  // Two scripts of a page may bring this part.
  if (b.$counts) return;
  b.$counts = true;
  // A page that broke what this needs is still asked.
  safely(() => start(b, category));
}

function start(b: Boot, category?: string): void {
  const query = new URLSearchParams(location.search);
  const utm = (name: string) => query.get("utm_" + name)?.slice(0, 100) || undefined;
  const came = { utm_source: utm("source"), utm_medium: utm("medium"), utm_campaign: utm("campaign") };
  let referrer: string | undefined;
  try {
    referrer = document.referrer && new URL(document.referrer).host;
  } catch {
    referrer = "";
  }
  let page = "";
  let asked = "";
  let timer = 0;
  let events: Record<string, number> = {};

  const send = () => {
    const list = Object.entries(events).map(([type, count]) => ({ type, count }));
    events = {};
    timer = 0;
    // A string is sent as text/plain, which needs no preflight. Lost is lost.
    if (list.length)
      navigator.sendBeacon(
        b.$origin + "/v1/events",
        JSON.stringify({ site: b.$config.$site, version: b.i.slice(0, 64), language: b.$language(), page: pageClass(page || location.pathname), referrer, ...came, events: list }),
      );
  };
  const note = (type: string) => {
    events[type] = (events[type] ?? 0) + 1;
    timer ||= window.setTimeout(send, PAUSE);
  };
  const view = () => {
    if (page === location.pathname || (category && b.get().categories[category] !== true)) return;
    send();
    // Of an application that goes on without loading, only the first view came from elsewhere.
    if (page) {
      referrer = location.host;
      came.utm_source = came.utm_medium = came.utm_campaign = undefined;
    }
    page = location.pathname;
    note("page_view");
  };

  view();
  b.on("layer", (layer) => {
    if (layer === "banner" && !asked) note("banner_shown");
    if (layer === "preferences") note("preferences_opened");
    if (layer) asked = layer;
  });
  b.on("change", (state) => {
    // Another tab may have decided: that one tells.
    if (asked && state.status && document.visibilityState === "visible") note(state.status);
    view();
    // The page may be loaded again at once.
    send();
  });
  (window as { navigation?: EventTarget }).navigation?.addEventListener("navigatesuccess", view);
  addEventListener("pagehide", send);
}
