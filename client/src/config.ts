// What the compiler embeds: the notice, trimmed to what a visitor's browser
// needs. internal/banner/config.go writes it. The compiler shortens every property
// whose name starts with "$", here and wherever it is read. Texts that a site has
// no use for are left out.

export type Kind = "cookie" | "local_storage" | "session_storage" | "indexed_db" | "request";

/** Kind, name (with * for any run of characters), lifetime in words. */
export type Tracker = readonly [kind: Kind, name: string, lifetime: string];

export interface Service {
  readonly key: string;
  readonly name: string;
  readonly category: string;
  readonly provider: string;
  readonly purpose: Readonly<Record<string, string>>;
  readonly policy_url: string;
  readonly hosts: readonly string[];
  readonly trackers: readonly Tracker[];
}

export interface Texts {
  readonly $title: string;
  readonly $body: string;
  readonly $accept_all: string;
  readonly $refuse_all: string;
  readonly $choose: string;
  readonly $save: string;
  readonly $close: string;
  readonly $policy: string;
  readonly $preferences_title: string;
  readonly $preferences_body: string;
  readonly $category_name: Readonly<Record<string, string>>;
  readonly $category_description: Readonly<Record<string, string>>;
  readonly $always_active: string;
  readonly $no_services: string;
  readonly $provider: string;
  readonly $purpose: string;
  readonly $trackers: string;
  readonly $lifetime: string;
  readonly $your_choice: string;
  readonly $record_id: string;
  readonly $consent_id: string;
  readonly $date: string;
  readonly $receipt: string;
  readonly $copy: string;
  readonly $copied: string;
  readonly $withdraw: string;
  readonly $not_sent: string;
  readonly $reopen: string;
}

export interface Colours {
  readonly $background: string;
  readonly $text: string;
  readonly $button: string;
  readonly $button_text: string;
}

export interface Config {
  readonly $site: string;
  /** SHA-256 of the notice version, hex. */
  readonly $version: string;
  /** What a choice is about, 16 hex digits: a version with the same scope asks nobody again. */
  readonly $scope: string;
  readonly $regime: "opt-in" | "opt-out" | "notice-only";
  readonly $choice_days: number;
  readonly $undeclared: "block" | "with_all";
  readonly $domains: readonly string[];
  readonly $controller: string;
  readonly $policy_url: string;
  /** Keys, necessary first. */
  readonly $categories: readonly string[];
  readonly $services: readonly Service[];
  readonly $languages: readonly string[];
  /** Those of the languages that are written from right to left. */
  readonly $right_to_left: readonly string[];
  readonly $texts: Readonly<Record<string, Texts>>;
  readonly $layout: {
    readonly $placement: "bar" | "box" | "centre";
    readonly $light: Colours;
    readonly $dark: Colours;
    readonly $radius: number;
  };
}

/** The category that nobody decides on. */
export const NECESSARY = "necessary";
