// What every page needs, returning visitors' too: releases what is marked, sees
// to it that refused names stay away, shows the way back to the choice. Whatever
// decides is a part of its own, which a page without a decision does without.
import type { App } from "./app";
import type { Boot } from "./boot";
import { cookieName, queueName } from "./cookie";
import type { Details, Kind, Question, Theme } from "./config";
import type { Frame } from "./elements/frame";
import type { floating } from "./elements/floating";
import type { modal } from "./elements/modal";
import type { preferences } from "./elements/preferences";
import type { serviceList } from "./elements/services";
import type { Stage } from "./elements/ui";
import type { dropDatabases } from "./gate/databases";
import type { markup } from "./gate/markup";
import type { leftovers, sweep } from "./gate/remove";
import { safely } from "./safely";
import { local, session } from "./storage";

/** What a site may do without, or what comes later; a part that is missing is not in the script. */
export interface Parts {
  readonly $markup?: typeof markup;
  readonly $leftovers?: typeof leftovers;
  readonly $sweep?: typeof sweep;
  readonly $dropDatabases?: typeof dropDatabases;
  readonly $theme?: Theme;
  readonly $frame?: typeof Frame;
  /** The button that opens the preferences again. */
  readonly $floating?: typeof floating;
  /** Decides, and asks. */
  readonly $decide?: typeof App;
  readonly $question?: Question;
  /** Without it the page can be used while the first layer asks. */
  readonly $modal?: typeof modal;
  readonly $preferences?: typeof preferences;
  readonly $details?: Details;
  /** Without it the site has no services. */
  readonly $serviceList?: typeof serviceList;
}

/** Where a page was before the one reload after a decision. */
export const SCROLL = "assent_scroll";

export class Core implements Stage {
  readonly $boot: Boot;
  $parts: Parts = {};
  $app?: App;
  /** Releases marked elements. */
  $release: (() => void) | undefined;
  private _frame?: Frame;

  constructor(boot: Boot) {
    this.$boot = boot;
  }

  /** Takes further parts over, and does what they make possible. */
  $extend(parts: Parts): void {
    const late = this.$parts.$theme;
    this.$parts = { ...this.$parts, ...parts };
    if (parts.$decide) {
      this.$app = new parts.$decide(this);
      if (late) this.$app.$settle();
    }
    if (!late) this._run();
  }

  /** A step that the page broke keeps no other from being taken. */
  private _run(): void {
    const { $boot: boot, $parts: parts } = this;
    this.$app?.$sweep();
    // What the policy would only break waits for the next page.
    const free = (key: string) => boot.allowed(key) && (!boot.$limit || boot.allowed(key, boot.$limit));
    this.$release = safely(() => parts.$markup?.(free, boot));
    safely(() => this.$app?.$begin() ?? this.$frame.$rest());
    safely(() => this._meet());
  }

  /** The element that everything of ours is shown in. */
  get $frame(): Frame {
    return (this._frame ??= new this.$parts.$frame!(this.$parts, this.$language, () => this.$open()));
  }

  get $language(): string {
    return this.$boot.$language;
  }

  $need(name: string): Promise<void> {
    return this.$boot.$need(name);
  }

  $refused(kind: Kind, name: string): boolean {
    return this.$boot.$declared(kind, name) === false;
  }

  $open(): void {
    // What opens them may have to be loaded, too: both at once.
    if (!this.$parts.$preferences) this.$need("more").catch(console.error);
    this._call((app) => app.open());
  }

  private _call(what: (app: App) => void): void {
    this.$boot.$app().then(what).catch(console.error);
  }

  /** Everything that waits for the page, the visitor, or another tab. */
  private _meet(): void {
    const { $boot: boot, $parts: parts } = this;
    const key = cookieName(boot.$config.$site);
    const queue = queueName(boot.$config.$site);
    document.addEventListener("click", (event) => {
      const target = event.target instanceof Element && event.target.closest("[data-assent-open]");
      if (!target) return;
      event.preventDefault();
      this.$open();
    });
    addEventListener("storage", (event) => event.key === key && this._call((app) => app.$news()));
    // "Back" may bring a page as it was before the choice.
    addEventListener("pageshow", (event) => event.persisted && this._call((app) => app.$news(true)));
    addEventListener("pagehide", () => {
      this.$app?.$sweep();
      boot.$tidy?.();
    });
    const loaded = () => {
      this._scroll();
      boot.$tidy?.();
      if (this.$app) this.$app.$settle();
      // Something of a refused service, or a decision that was not sent, is left.
      else if (parts.$leftovers?.(this.$refused.bind(this)) || Object.keys(local).some((name) => name.startsWith(queue))) {
        this._call(() => {});
      }
    };
    if (document.readyState === "complete") loaded();
    else addEventListener("load", loaded);
  }

  /** Browsers keep the place over a reload, unless the page told them not to. */
  private _scroll(): void {
    const [path, y] = session.getItem(SCROLL)?.split(" ") ?? [];
    session.removeItem(SCROLL);
    if (path === location.pathname) scrollTo({ top: Number(y), behavior: "instant" });
  }
}
