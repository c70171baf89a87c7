// Elements that wait for a choice: <script type="text/plain" data-assent="…">,
// <iframe data-src="…" data-assent="…">, <template data-assent="…"> and their like.
import type { Boot } from "../boot";
import { safely } from "../safely";
import { trusted } from "../trusted";
import { redirectWrites } from "./write";

const SELECTOR = "[data-assent]";
/** Attributes that an element may keep back as data-…; srcset before the src that it makes needless. */
const HELD = ["srcset", "src", "href", "data", "poster"];
/** Types that the browser runs, and fires a load event for. */
const RUNS = /^(|module|\w+\/(x-)?(java|ecma)script)$/i;

/** Returns what releases every element whose keys are all allowed; new elements are released by themselves. */
export function markup(allowed: (key: string) => boolean, boot: Boot): () => void {
  /** Everything before has run; scripts run in the order in which they stand. */
  let ran: Promise<unknown> = Promise.resolve();
  /** The last inline script has run: files up to the next one are fetched side by side, and the browser keeps their order. */
  let gate = ran;

  function release(): void {
    const loading = document.readyState === "loading";
    const late: HTMLScriptElement[] = [];
    for (const element of document.querySelectorAll<HTMLElement>(SELECTOR)) {
      if (!element.dataset["assent"]!.match(/\S+/g)?.every(allowed)) continue;
      // The parser may still be reading what the last element holds.
      const whole = !loading || element.nextSibling;
      if (element instanceof HTMLScriptElement) {
        if ((element.defer || element.dataset["type"] === "module") && !element.hasAttribute("async")) {
          // These run behind all others, when the page has been read.
          if (!loading) late.push(element);
        } else if (whole || source(element)) run(element);
        else return;
      } else if (element.matches("template,style[type]")) {
        if (!whole) return;
        unwrap(element);
        return release();
      } else {
        for (const name of HELD) {
          const value = element.getAttribute("data-" + name);
          if (value === null) continue;
          // Moved, so that a page which sets either again is not overruled.
          element.removeAttribute("data-" + name);
          element.setAttribute(name, value);
          // A player does not notice that its source has changed.
          if (element.matches("source")) (element.parentNode as Partial<HTMLMediaElement>).load?.();
        }
      }
    }
    late.forEach(run);
  }

  function unwrap(element: HTMLElement): void {
    const { content } = element as Partial<HTMLTemplateElement>;
    const live = document.importNode(content ?? element, true);
    if (!content) (live as HTMLElement).removeAttribute("type");
    // Scripts in a template wait for their turn like those of the page.
    for (const script of live.querySelectorAll("script:not([data-assent])")) {
      script.setAttribute("data-type", script.getAttribute("type") ?? "");
      script.setAttribute("type", "text/plain");
      script.setAttribute("data-assent", element.dataset["assent"]!);
    }
    element.replaceWith(live);
  }

  function run(inert: HTMLScriptElement): void {
    inert.removeAttribute("data-assent");
    // A copy keeps what the script says of integrity, origin, priority and nonce.
    const live = inert.cloneNode() as HTMLScriptElement;
    const { type = "" } = inert.dataset;
    const src = source(inert);
    live.type = type;
    if (src) live.src = trusted(boot, "createScriptURL", src);
    else live.text = trusted(boot, "createScript", inert.text);
    live.nonce ||= boot.$nonce;
    // A dynamic script is async unless told otherwise.
    live.async = inert.hasAttribute("async");
    redirectWrites(live, boot);
    const insert = () => inert.replaceWith(live);
    if (live.async) return insert();
    const loads = src && RUNS.test(type) && !live.noModule;
    const turn = () =>
      new Promise<unknown>((next) => {
        live.addEventListener("load", next);
        live.addEventListener("error", next);
        insert();
        // Neither event comes for what stands in the page, data, and what the page took away meanwhile.
        if (!loads || !live.isConnected) next(0);
      });
    if (loads || type === "module") ran = Promise.all([ran, gate.then(turn)]);
    else gate = ran = ran.then(turn);
  }

  document.addEventListener("readystatechange", release);
  safely(() => new MutationObserver(release).observe(document, { attributeFilter: HELD.map((name) => "data-" + name), childList: true, subtree: true }));
  return release;
}

function source(script: HTMLScriptElement): string {
  return script.dataset["src"] ?? script.getAttribute("src") ?? "";
}
