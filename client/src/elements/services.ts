// The services of a category: what each is for and what it stores.
import type { Detail, DetailWords, Lifetime, Service, Words } from "../config";
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
  const { $purpose: purposes, $transfer: transfers, $country: country, $lifetimes: lifetimes } = detail;
  const lasts = (lifetime: Lifetime) =>
    !lifetime
      ? lifetime === 0 && texts.$session
      : typeof lifetime === "string"
        ? lifetime
        : new Intl.NumberFormat(language, { style: "unit", unit: lifetime[1], unitDisplay: "long" }).format(lifetime[0]);
  const trackers = service.trackers.map(([kind, name], i) => {
    const lifetime = lasts(lifetimes[i]!);
    return h("span", {}, h("code", { dir: "ltr" }, name), " ", texts.$kind_name[kind], lifetime && ` · ${texts.$lifetime}: ${lifetime}`);
  });
  const said = (words: Readonly<Record<string, string>>) => words[language] ?? Object.values(words)[0] ?? "";
  const where = country && ` (${new Intl.DisplayNames(language, { type: "region" }).of(country)})`;
  const row = (term: string, ...values: (Node | string | false)[]) => {
    const told = values.filter(Boolean);
    return told.length ? [h("dt", {}, term), ...told.map((value) => h("dd", {}, value))] : [];
  };
  return h(
    "dl",
    {},
    ...row(texts.$provider, detail.$provider && detail.$provider + where, link(detail.$policy_url, first.$policy)),
    ...row(texts.$purpose, said(purposes)),
    ...row(texts.$transfer, said(transfers)),
    ...row(texts.$trackers, ...trackers),
  );
}
