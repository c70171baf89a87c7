// The second layer: every category and service with a switch, and the record.
import { NECESSARY, type Details, type Words } from "../config";
import type { Parts } from "../core";
import { complete, everyService, granted, optional, statusOf, uniform } from "../decision";
import { answers } from "./banner";
import { button, h, link } from "./dom";
import css from "./preferences.css";
import type { Desk } from "./ui";

/** The dialog, what opens it with the choice that is in force then, and its style. */
export function preferences(
  desk: Desk,
  { $serviceList: services, $question: question }: Parts,
  first: Words,
  details: Details,
  language: string,
): [dialog: HTMLDialogElement, open: () => void, css: string] {
  const { $config: config } = desk;
  const texts = details.$words[language]!;
  /** By ID of the label: "c-" and a category's key, "s-" and a service's. */
  const switches = new Map<string, HTMLInputElement>();
  const body = h("div", { class: "scroll", tabindex: "0" });
  const close = button("plain x", "×", () => dialog.close());
  close.setAttribute("aria-label", texts.$close);

  function toggle(id: string, changed?: (on: boolean) => void): HTMLElement {
    const input = h("input", { type: "checkbox", role: "switch", "aria-labelledby": id });
    const { categories } = desk.$selection;
    const key = id.slice(2);
    input.checked = (id[0] === "c" ? categories[key] : granted(config, desk.$selection, key)) === true;
    input.addEventListener("change", () => changed?.(input.checked));
    switches.set(id, input);
    return input;
  }

  function set(id: string, on: boolean): void {
    const input = switches.get(id);
    if (input) input.checked = on;
  }

  const values = (prefix: string, keys: readonly string[]) =>
    Object.fromEntries(keys.map((key) => [key, switches.get(prefix + key)?.checked === true]));

  function category(key: string): HTMLElement {
    const id = "c-" + key;
    const members = config.$services.filter((service) => service.category === key);
    const keys = members.map((service) => service.key);
    return h(
      "section",
      { class: "category" },
      h(
        "div",
        { class: "row" },
        h("h3", { id }, texts.$category_name[key] ?? key),
        key === NECESSARY
          ? h("span", { class: "always" }, texts.$always_active)
          : toggle(id, (on) => keys.forEach((service) => set("s-" + service, on))),
      ),
      h("p", {}, texts.$category_description[key] ?? ""),
      h("p", { class: "note" }, texts.$basis[key] ?? ""),
      services && members.length
        ? services(members, details.$services, first, texts, language, (label) =>
            key !== NECESSARY &&
            toggle(label, () => {
              const all = Object.values(values("s-", keys));
              // A category follows its services when they agree.
              if (all.every((on) => on === all[0])) set(id, all[0]!);
            }),
          )
        : h("p", { class: "note" }, texts.$no_services),
    );
  }

  function record(): HTMLElement | false {
    const { $choice: choice, $waiting: waiting } = desk;
    if (!choice) return false;
    const rows = [
      [texts.$record_id, choice.recordId],
      [texts.$consent_id, choice.consentId],
      [texts.$date, new Date(choice.time).toLocaleString(language, { dateStyle: "long", timeStyle: "short" })],
    ] as [string, string][];
    if (choice.action === "signal") rows.push(["Global Privacy Control", "✓"]);
    const list = h("dl", {}, ...rows.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
    const said = h("span", { role: "status" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(rows.map((row) => row.join(": ")).join("\n"));
        said.textContent = texts.$copied;
      } catch {
        // No clipboard outside secure contexts: what is to be copied is selected at least.
        getSelection()?.selectAllChildren(list);
      }
    };
    return h(
      "section",
      { class: "record" },
      h("h3", {}, texts.$your_choice),
      list,
      waiting && h("p", {}, texts.$not_sent),
      ...hosts(texts.$not_removed, desk.$left),
      h(
        "div",
        { class: "tools" },
        button("plain copy", texts.$copy, () => void copy()),
        said,
        !waiting && link(desk.$receipt, texts.$receipt),
        statusOf(desk.$selection) !== "accepted_necessary" &&
          button("plain withdraw", texts.$withdraw, () => desk.$decide("withdraw", uniform(config, false), "preferences")),
      ),
    );
  }

  /** A sentence about hosts, if there are any. */
  const hosts = (text: string, list: readonly string[]) =>
    list.length ? [h("p", {}, text), h("ul", {}, ...list.map((host) => h("li", {}, h("code", { dir: "ltr" }, host))))] : [];

  /** What the policy keeps away from this page. */
  function stopped(list: readonly string[]): HTMLElement {
    const { length: n } = list;
    const { $blocked_count: forms } = texts;
    const text = forms[new Intl.PluralRules(language).select(n)] ?? forms.other!;
    return h(
      "section",
      { class: "category" },
      h("h3", {}, texts.$blocked_title),
      ...(n ? hosts(text.replace("{n}", n.toLocaleString(language)), list) : [h("p", {}, texts.$blocked_none)]),
    );
  }

  function save(): void {
    const named = Object.keys(everyService(config, desk.$selection));
    const chosen = complete(config, uniform(config, false), values("c-", config.$categories), values("s-", named));
    desk.$decide("save", chosen, "preferences");
  }

  const dialog = h(
    "dialog",
    { class: "preferences", "aria-labelledby": "preferences" },
    h("header", {}, h("h2", { id: "preferences" }, texts.$preferences_title), close),
    body,
    optional(config).length > 0 &&
      h(
        "footer",
        {},
        ...answers(desk, first, "preferences", (name, label, click) => button("plain " + name, label, click)),
        button("main save", texts.$save, save),
      ),
  );

  function open(): void {
    if (dialog.open) return;
    body.replaceChildren(
      h(
        "div",
        {},
        h("p", {}, texts.$preferences_body, " ", link(question!.$policy_url, first.$policy)),
        ...config.$categories.map(category),
        record(),
        !!desk.$blocked && stopped(desk.$blocked),
      ),
    );
    dialog.showModal();
    body.scrollTop = 0;
  }

  return [dialog, open, css];
}
