// Content of other companies in a page (videos, maps, posts) that was refused: over its
// place stands who would receive what, with "once" and "always".
import type { Boot } from "../boot";
import type { Placeholders } from "../config";
import { button, h, link } from "../elements/dom";
import css from "../elements/embeds.css";
import { fits } from "../hosts";
import { quietly, safely } from "../safely";
import { showNext, tellGate } from "./once";

/** What is smaller holds no words, and is no content: it counts visits. CSS pixels. */
const LEAST = 40;

/** What stands over a frame. */
interface Shade {
  readonly $key: string;
  /** Follows the frame's place and size. */
  $place(): void;
  $drop(): void;
}

/** Covers the content of refused services, now and whenever the page changes. */
export function embeds(b: Boot, placeholders: Placeholders): void {
  // Two scripts of a page may bring this part.
  if (!b.$shown) safely(() => watch(b, placeholders));
}

function watch(b: Boot, { $services: services, $words: all }: Placeholders): void {
  const language = b.$language();
  const words = all[language]!;
  const [again, number = -1] = b.$config.$once ?? [];
  const once = (b.$shown = new Set(again === undefined ? [] : [again]));
  // A gate sends its policy with the page; nginx and Caddy cannot be told of one view.
  const gate = b.$limit && document.querySelector("script[data-assent-gate]");
  const deaf = gate && !gate.matches("[data-assent-once]");
  const free = (key: string) => once.has(key) || (b.allowed(key) && (!b.$limit || b.allowed(key, b.$limit)));
  const shades = new Map<HTMLElement, Shade>();
  /** What was asked for gets the focus: here, or by its number after a reload. */
  let asked: HTMLElement | undefined;
  let nth = number;
  let waiting = 0;
  /** Later and once for many changes, but before the page is painted. */
  const soon = () => {
    waiting ||= requestAnimationFrame(scan);
  };
  const sizes = new ResizeObserver(soon);

  /** What the frame is marked with, or else whose its address is. */
  function keysOf(frame: HTMLElement): string[] {
    const marks = frame.dataset["assent"];
    if (marks !== undefined) return marks.match(/\S+/g) ?? [];
    const address = frame.getAttribute("src") ?? frame.getAttribute("data") ?? "";
    const host = quietly(() => new URL(address, document.baseURI).host);
    const owner = b.$config.$services.find(({ key, hosts }) => nameOf(key) && hosts.some((pattern) => fits(pattern, host ?? "")));
    return owner ? [owner.key] : [];
  }

  const nameOf = (key: string) => services.find(({ $key: own }) => own === key);

  /** The service that the frame waits for, where it is that one alone. */
  function refused(frame: HTMLElement): string | undefined {
    // What is not marked is loaded, unless a policy forbids it.
    if (!b.$limit && !frame.dataset["assent"]) return undefined;
    const keys = keysOf(frame).filter((key) => !free(key));
    return keys.length === 1 && nameOf(keys[0]!) ? keys[0] : undefined;
  }

  const frames = () => [...document.querySelectorAll<HTMLElement>("iframe,embed,object,video,[data-assent]")];

  function scan(): void {
    waiting = 0;
    for (const [frame, shade] of shades) if (!frame.isConnected || refused(frame) !== shade.$key) shade.$drop();
    for (const frame of frames()) {
      const key = refused(frame);
      if (!key) continue;
      if (!shades.has(frame)) shades.set(frame, cover(frame, key));
      shades.get(frame)!.$place();
    }
    const back = nth < 0 ? undefined : frames().filter((frame) => keysOf(frame).includes(again!))[nth];
    if (!back) return;
    nth = -1;
    focus(back);
  }

  function cover(frame: HTMLElement, key: string): Shade {
    const service = nameOf(key)!;
    const fill = (text: string) =>
      text.replace("{service}", () => service.$name).replace("{provider}", () => service.$provider || service.$name);
    const host = document.createElement("assent-embed");
    const shadow = host.attachShadow({ mode: "open" });
    dress(shadow)(css);
    const move = dress(shadow);
    shadow.append(
      h(
        "div",
        { class: "embed", role: "group", "aria-labelledby": "title", lang: language, dir: words.$dir },
        h("strong", { id: "title" }, fill(words.$title)),
        h("p", {}, fill(words.$body), " ", link(service.$policy_url, words.$policy)),
        h(
          "div",
          { class: "answers" },
          !deaf && button("once", words.$once, () => show(false)),
          button("always", words.$always, () => show(true)),
        ),
      ),
    );
    const { inert } = frame;
    let x = 0;
    let y = 0;
    sizes.observe(frame);

    function show(always: boolean): void {
      asked = frame;
      const held = b.$limit && !b.allowed(key, b.$limit);
      if (held && !deaf) showNext(key, frames().filter((one) => keysOf(one).includes(key)).indexOf(frame));
      if (gate && !always) tellGate(b.$config.$site, key);
      if (always) {
        b.$decider().then((app) => app.set({ services: { [key]: true } })).catch(console.error);
      } else if (held) {
        const reload = () => location.reload();
        // Without a line the browser would show its error page instead of this one.
        if (navigator.onLine) reload();
        else addEventListener("online", reload);
      } else {
        once.add(key);
        b.$release?.();
        scan();
      }
    }

    /** Puts the host where nothing moves: pages style what comes first or last, and what follows what. */
    function settle(): void {
      const root = document.documentElement;
      if (host.parentNode === root || host.nextSibling === frame || host.previousSibling === frame) return;
      host.remove();
      const around = [frame, frame.nextElementSibling, frame.parentElement].filter((one): one is HTMLElement => !!one);
      const boxes = around.map((one) => one.getBoundingClientRect());
      for (const put of [() => frame.after(host), () => frame.before(host), () => root.append(host)]) {
        put();
        if (!around.some((one, i) => apart(one.getBoundingClientRect(), boxes[i]!))) return;
      }
    }

    /** The size and, from where the host would stand by itself, the place. */
    function fit({ width, height }: DOMRect, scale: number): void {
      const { borderRadius, visibility, zIndex } = getComputedStyle(frame);
      // Of two at the same height the later one is above.
      const z = host.previousSibling === frame ? zIndex : Number(zIndex) + 1 || 1;
      move(
        `:host{width:${width / scale}px!important;height:${height / scale}px!important;transform:translate(${x}px,${y}px)!important;` +
          `border-radius:${borderRadius}!important;visibility:${visibility}!important;z-index:${z}!important}`,
      );
    }

    return {
      $key: key,
      $place() {
        const box = frame.getBoundingClientRect();
        if (box.width < LEAST || box.height < LEAST) return host.remove();
        frame.inert = true;
        settle();
        // In a page that zooms a part of itself.
        const { offsetWidth: plain } = frame;
        const scale = Math.abs(box.width - plain) > 1 ? box.width / plain : 1;
        fit(box, scale);
        const now = host.getBoundingClientRect();
        x += (box.x - now.x) / scale;
        y += (box.y - now.y) / scale;
        if (apart(now, box)) fit(box, scale);
      },
      $drop() {
        sizes.unobserve(frame);
        shades.delete(frame);
        host.remove();
        frame.inert = inert;
        if (asked === frame) focus(frame);
      },
    };
  }

  function start(): void {
    new MutationObserver(soon).observe(document, { attributeFilter: ["src", "data", "data-assent"], childList: true, subtree: true });
    b.on("change", scan);
    sizes.observe(document.body);
    addEventListener("resize", soon);
    addEventListener("load", soon);
    // A part of the page that scrolls may not be what the host is placed by.
    addEventListener("scroll", () => shades.size && soon(), { capture: true, passive: true });
    scan();
  }
  // A framework that takes over what the server sent finds its page as it was.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}

function apart(a: DOMRect, b: DOMRect): boolean {
  return Math.abs(a.x - b.x) + Math.abs(a.y - b.y) + Math.abs(a.width - b.width) + Math.abs(a.height - b.height) > 0.05;
}

function focus(frame: HTMLElement): void {
  frame.focus({ preventScroll: true });
  if (document.activeElement === frame || !frame.isConnected) return;
  frame.tabIndex = -1;
  frame.focus({ preventScroll: true });
}

/** Adds a style to a shadow root and returns what writes it: constructed, so that it needs no unsafe-inline. */
function dress(shadow: ShadowRoot): (text: string) => void {
  try {
    const sheet = new CSSStyleSheet();
    shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];
    return (text) => sheet.replaceSync(text);
  } catch {
    // Safari before 16.4 adopts no sheets.
    const style = document.createElement("style");
    shadow.append(style);
    return (text) => void (style.textContent = text);
  }
}
