// The first layer: accept, refuse with the same weight, choose.
import type { Texts } from "../config";
import { uniform } from "../decision";
import { safely } from "../safely";
import { button, h, link } from "./dom";
import type { Desk, Source } from "./ui";

/** "Refuse all" and "Accept all", which differ in nothing but their words. */
export function answers(desk: Desk, texts: Texts, look: "main" | "plain", source: Source): HTMLElement[] {
  const { $config: config } = desk;
  return [
    button(look + " refuse", texts.$refuse_all, () => desk.$decide("accept_necessary", uniform(config, false), source)),
    button(look + " accept", texts.$accept_all, () => desk.$decide("accept_all", uniform(config, true), source)),
  ];
}

export function firstLayer(desk: Desk, texts: Texts, tag: "section" | "dialog", choose: () => void): HTMLElement {
  const { $config: config } = desk;
  const text = h(
    "div",
    { class: "text" },
    config.$controller && h("p", { class: "who" }, config.$controller),
    h("h2", { id: "title" }, texts.$title),
    h("p", {}, texts.$body, " ", link(config.$policy_url, texts.$policy)),
  );
  // What scrolls must be reachable by keyboard. The page's viewport is known later.
  safely(() =>
    new ResizeObserver(() => {
      text.tabIndex = text.scrollHeight > text.clientHeight ? 0 : -1;
    }).observe(text),
  );
  return h(
    tag,
    { class: "banner " + config.$layout.$placement, "aria-labelledby": "title" },
    text,
    h(
      "div",
      { class: "actions" },
      ...answers(desk, texts, "main", "banner"),
      button("plain choose", texts.$choose, choose),
    ),
  );
}
