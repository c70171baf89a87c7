// The first layer: accept, refuse with the same weight, choose.
import type { Question, Words } from "../config";
import { uniform } from "../decision";
import { safely } from "../safely";
import { h, link } from "./dom";
import type { Desk, Source } from "./ui";

/** "Refuse all" and "Accept all", which differ in nothing but their words. */
export function answers(
  desk: Desk,
  texts: Words,
  source: Source,
  make: (name: string, label: string, click: () => void) => HTMLElement,
): HTMLElement[] {
  const { $config: config } = desk;
  return [
    make("refuse", texts.$refuse_all, () => desk.$decide("accept_necessary", uniform(config, false), source)),
    make("accept", texts.$accept_all, () => desk.$decide("accept_all", uniform(config, true), source)),
  ];
}

/**
 * A layer, and what the host of the shadow root holds: why, and the answers. Browsers
 * and add-ons that refuse for people look for text and buttons in the page's own
 * tree, and so they stand there and are shown through slots.
 */
export type First = readonly [layer: HTMLElement, light: (HTMLElement | string)[]];

/** hint: somebody is about to choose. */
export function firstLayer(desk: Desk, question: Question, texts: Words, tag: "section" | "dialog", choose: () => void, hint: () => void, _rest: () => void): First {
  const light: HTMLElement[] = [];
  const actions = answers(desk, texts, "banner", (name, label, click) => {
    light.push(h("button", { type: "button", slot: name }, label));
    return h("slot", { name, class: "main " + name, click });
  });
  return layer(question, texts, tag, light, ...actions, way(texts, choose, hint));
}

/** The way to the preferences. */
export function way(texts: Words, choose: () => void, hint: () => void): HTMLElement {
  return h("button", { type: "button", class: "plain choose", click: choose, pointerenter: hint, focus: hint }, texts.$choose);
}

/** Who says what, and what can be done. */
export function layer(question: Question, texts: Words, tag: "section" | "dialog", light: HTMLElement[], ...actions: HTMLElement[]): First {
  const text = h(
    "div",
    { class: "text" },
    question.$controller && h("p", { class: "who" }, question.$controller),
    h("h2", { id: "title" }, texts.$title),
    h("p", {}, h("slot", {}), " ", link(question.$policy_url, texts.$policy)),
  );
  // What scrolls must be reachable by keyboard. The page's viewport is known later.
  safely(() =>
    new ResizeObserver(() => {
      text.tabIndex = text.scrollHeight > text.clientHeight ? 0 : -1;
    }).observe(text),
  );
  return [h(tag, { class: "banner " + question.$placement, "aria-labelledby": "title" }, text, h("div", { class: "actions" }, ...actions)), [texts.$body, ...light]];
}
