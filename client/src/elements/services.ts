// The services of a category: what each is for and what it stores.
import type { Service, Texts } from "../config";
import { h, link } from "./dom";

/** toggle makes the switch that the element with this ID names, or none. */
export function serviceList(
  services: readonly Service[],
  texts: Texts,
  language: string,
  toggle: (label: string) => HTMLElement | false,
): HTMLElement {
  return h(
    "ul",
    {},
    ...services.map((service) => {
      const id = "s-" + service.key;
      return h("li", {}, h("details", {}, h("summary", { id }, service.name), details(service, texts, language)), toggle(id));
    }),
  );
}

function details(service: Service, texts: Texts, language: string): HTMLElement {
  const purpose = service.purpose[language] ?? Object.values(service.purpose)[0] ?? "";
  const trackers = service.trackers.map(([kind, name, lifetime]) =>
    h("span", {}, h("code", { dir: "ltr" }, name), " ", kind.replace("_", " "), lifetime && ` · ${texts.$lifetime}: ${lifetime}`),
  );
  const row = (term: string, ...values: (Node | string | false)[]) => {
    const told = values.filter(Boolean);
    return told.length ? [h("dt", {}, term), ...told.map((value) => h("dd", {}, value))] : [];
  };
  return h(
    "dl",
    {},
    ...row(texts.$provider, service.provider, link(service.policy_url, texts.$policy)),
    ...row(texts.$purpose, purpose),
    ...row(texts.$trackers, ...trackers),
  );
}
