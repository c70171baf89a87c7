// The first layer: accept, refuse with the same weight, choose.
import type { Question, Words } from "../config";
import { uniform } from "../decision";
import { safely } from "../safely";
import { button, h, link } from "./dom";
import type { Desk, Source } from "./ui";

/** "Refuse all" and "Accept all", which differ in nothing but their words. */
export function answers(desk: Desk, texts: Words, look: "main" | "plain", source: Source): HTMLElement[] {
  const { $config: config } = desk;
  return [
    button(look + " refuse", texts.$refuse_all, () => desk.$decide("accept_necessary", uniform(config, false), source)),
    button(look + " accept", texts.$accept_all, () => desk.$decide("accept_all", uniform(config, true), source)),
  ];
}

/** hint: somebody is about to choose. */
export function firstLayer(desk: Desk, question: Question, texts: Words, tag: "section" | "dialog", choose: () => void, hint: () => void, _rest: () => void): HTMLElement {
  return layer(question, texts, tag, ...answers(desk, texts, "main", "banner"), way(texts, choose, hint));
}

/** The way to the preferences. */
export function way(texts: Words, choose: () => void, hint: () => void): HTMLElement {
  return h("button", { type: "button", class: "plain choose", click: choose, pointerenter: hint, focus: hint }, texts.$choose);
}

/** Who says what, and what can be done. */
export function layer(question: Question, texts: Words, tag: "section" | "dialog", ...actions: HTMLElement[]): HTMLElement {
  const text = h(
    "div",
    { class: "text" },
    question.$controller && h("p", { class: "who" }, question.$controller),
    h("h2", { id: "title" }, texts.$title),
    h("p", {}, texts.$body, " ", link(question.$policy_url, texts.$policy)),
  );
  // What scrolls must be reachable by keyboard. The page's viewport is known later.
  safely(() =>
    new ResizeObserver(() => {
      text.tabIndex = text.scrollHeight > text.clientHeight ? 0 : -1;
    }).observe(text),
  );
  return h(tag, { class: "banner " + question.$placement, "aria-labelledby": "title" }, text, h("div", { class: "actions" }, ...actions));
}
