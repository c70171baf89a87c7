// The services of a category: what each is for and what it stores.
import type { Detail, DetailWords, Service, Words } from "../config";
import { h, link } from "./dom";

/** toggle makes the switch that the element with this ID names, or none. */
export function serviceList(
  services: readonly Service[],
  told: readonly Detail[],
  first: Words,
  texts: DetailWords,
  language: string,
  toggle: (label: string) => HTMLElement | false,
): HTMLElement {
  return h(
    "ul",
    {},
    ...services.map((service) => {
      const id = "s-" + service.key;
      const detail = told.find(({ $key: key }) => key === service.key)!;
      return h("li", {}, h("details", {}, h("summary", { id }, detail.$name), details(service, detail, first, texts, language)), toggle(id));
    }),
  );
}

function details(service: Service, detail: Detail, first: Words, texts: DetailWords, language: string): HTMLElement {
  const { $purpose: purposes, $lifetimes: lifetimes } = detail;
  const trackers = service.trackers.map(([kind, name], i) =>
    h("span", {}, h("code", { dir: "ltr" }, name), " ", kind.replace("_", " "), !!lifetimes[i] && ` · ${texts.$lifetime}: ${lifetimes[i]}`),
  );
  const row = (term: string, ...values: (Node | string | false)[]) => {
    const told = values.filter(Boolean);
    return told.length ? [h("dt", {}, term), ...told.map((value) => h("dd", {}, value))] : [];
  };
  return h(
    "dl",
    {},
    ...row(texts.$provider, detail.$provider, link(detail.$policy_url, first.$policy)),
    ...row(texts.$purpose, purposes[language] ?? Object.values(purposes)[0] ?? ""),
    ...row(texts.$trackers, ...trackers),
  );
}
