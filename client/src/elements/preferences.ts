// The second layer: every category and service with a switch, and the record.
import { NECESSARY, type Service, type Texts } from "../config";
import { complete, granted, statusOf, uniform } from "../decision";
import { button, h, link } from "./dom";
import type { Desk } from "./ui";

export class Preferences {
  readonly dialog: HTMLDialogElement;
  private readonly _desk: Desk;
  private readonly _texts: Texts;
  private readonly _language: string;
  private readonly _body = h("div", { class: "scroll", tabindex: "0" });
  /** By key of category or service; the namespaces are kept apart by the prefix. */
  private readonly _switches = new Map<string, HTMLInputElement>();

  constructor(desk: Desk, texts: Texts, language: string) {
    this._desk = desk;
    this._texts = texts;
    this._language = language;
    const { config } = desk;
    const close = button("x", "×", () => this.dialog.close());
    close.setAttribute("aria-label", texts.close);
    this.dialog = h(
      "dialog",
      { class: "preferences", "aria-labelledby": "preferences" },
      h("header", {}, h("h2", { id: "preferences" }, texts.preferences_title), close),
      this._body,
      h(
        "footer",
        {},
        button("plain refuse", texts.refuse_all, () =>
          desk.decide("accept_necessary", uniform(config, false), "preferences"),
        ),
        button("plain accept", texts.accept_all, () => desk.decide("accept_all", uniform(config, true), "preferences")),
        button("main save", texts.save, () => this._save()),
      ),
    );
  }

  /** Opens the dialog with what is in force now. */
  open(): void {
    if (this.dialog.open) return;
    const { config, choice } = this._desk;
    this._switches.clear();
    const policy = link(config.policy_url, this._texts.policy);
    this._body.replaceChildren(
      h("p", {}, this._texts.preferences_body, policy && " ", policy),
      ...config.categories.map((key) => this._category(key)),
    );
    if (choice) this._body.append(this._record());
    this.dialog.showModal();
    this._body.scrollTop = 0;
  }

  private _save(): void {
    const { config } = this._desk;
    const values = (prefix: string, keys: readonly string[]) =>
      Object.fromEntries(keys.map((key) => [key, this._switches.get(prefix + key)?.checked === true]));
    const services = config.services.filter((s) => s.category !== NECESSARY).map((s) => s.key);
    const chosen = complete(config, uniform(config, false), values("c-", config.categories), values("s-", services));
    this._desk.decide("save", chosen, "preferences");
  }

  private _category(key: string): HTMLElement {
    const texts = this._texts;
    const { config } = this._desk;
    const services = config.services.filter((s) => s.category === key);
    const id = "c-" + key;
    const name = texts.category_name[key] ?? key;
    return h(
      "section",
      { class: "category" },
      h(
        "div",
        { class: "row" },
        h("h3", { id }, name),
        key === NECESSARY
          ? h("span", { class: "always" }, texts.always_active)
          : this._switch(id, key, (on) => services.forEach((s) => this._set("s-" + s.key, on))),
      ),
      h("p", {}, texts.category_description[key] ?? ""),
      services.length
        ? h("ul", {}, ...services.map((service) => this._service(service, services)))
        : h("p", { class: "none" }, texts.no_services),
    );
  }

  private _service(service: Service, siblings: readonly Service[]): HTMLElement {
    const texts = this._texts;
    const id = "s-" + service.key;
    const purpose = service.purpose[this._language] ?? Object.values(service.purpose)[0] ?? "";
    const policy = link(service.policy_url, texts.policy);
    const details = h("dl");
    const row = (term: string, ...values: (Node | string)[]) =>
      details.append(h("dt", {}, term), ...values.map((value) => h("dd", {}, value)));
    if (service.provider || policy) row(texts.provider, ...[service.provider, policy].filter((v): v is string | HTMLAnchorElement => !!v));
    if (purpose) row(texts.purpose, purpose);
    if (service.trackers.length) {
      row(
        texts.trackers,
        ...service.trackers.map(([kind, name, lifetime]) =>
          h("span", {}, h("code", { dir: "ltr" }, name), " ", kind.replace("_", " "), lifetime && ` · ${texts.lifetime}: ${lifetime}`),
        ),
      );
    }
    return h(
      "li",
      {},
      h("details", {}, h("summary", { id }, service.name), details),
      service.category !== NECESSARY &&
        this._switch(id, service.key, () => {
          const values = siblings.map((s) => this._switches.get("s-" + s.key)?.checked === true);
          // A category follows its services when they agree.
          if (values.every((v) => v === values[0])) this._set("c-" + service.category, values[0]!);
        }),
    );
  }

  private _switch(id: string, key: string, changed: (on: boolean) => void): HTMLElement {
    const input = h("input", { type: "checkbox", role: "switch", "aria-labelledby": id });
    const { config, selection } = this._desk;
    input.checked = id[0] === "c" ? selection.categories[key] === true : granted(config, selection, key) === true;
    input.addEventListener("change", () => changed(input.checked));
    this._switches.set(id, input);
    return input;
  }

  private _set(id: string, on: boolean): void {
    const input = this._switches.get(id);
    if (input) input.checked = on;
  }

  private _record(): HTMLElement {
    const texts = this._texts;
    const { config, choice, waiting, receipt, selection } = this._desk;
    if (!choice) return h("section");
    const date = new Date(choice.time).toLocaleString(this._language, { dateStyle: "long", timeStyle: "short" });
    const rows: [string, string][] = [
      [texts.record_id, choice.recordId],
      [texts.consent_id, choice.consentId],
      [texts.date, date],
    ];
    if (choice.action === "signal") rows.push(["Global Privacy Control", "✓"]);
    const list = h("dl", {}, ...rows.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
    const said = h("span", { role: "status" });
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(rows.map((row) => row.join(": ")).join("\n"));
        said.textContent = texts.copied;
      } catch {
        // No clipboard outside secure contexts: what is to be copied is selected at least.
        getSelection()?.selectAllChildren(list);
      }
    };
    return h(
      "section",
      { class: "record" },
      h("h3", {}, texts.your_choice),
      list,
      waiting && h("p", {}, texts.not_sent),
      h(
        "div",
        { class: "tools" },
        button("plain copy", texts.copy, () => void copy()),
        said,
        !waiting && link(receipt, texts.receipt),
        statusOf(config, selection) !== "accepted_necessary" &&
          button("plain withdraw", texts.withdraw, () => this._desk.decide("withdraw", uniform(config, false), "preferences")),
      ),
    );
  }
}
