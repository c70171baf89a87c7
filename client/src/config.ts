// What the compiler embeds: the notice, trimmed to what a visitor's browser needs,
// in four parts, because not every page needs all of it. internal/banner/config.go
// writes them. The compiler shortens every property whose name starts with "$", here and
// wherever it is read. Texts that a site has no use for are left out.

import type { Selection } from "./decision";

export type Kind =
  | "cookie"
  | "local_storage"
  | "session_storage"
  | "indexed_db"
  | "cache"
  | "service_worker"
  | "request"
  | "third_party_cookie";

/** Kind, and name with * for any run of characters. */
export type Tracker = readonly [kind: Kind, name: string];

export interface Service {
  readonly key: string;
  readonly category: string;
  readonly hosts: readonly string[];
  readonly trackers: readonly Tracker[];
}

/** What enforcement needs: in the page itself, or at the head of the whole script. */
export interface Config {
  readonly $site: string;
  /** The notice version (SHA-256, 64 hex digits), then what names the compiler; scripts with another one do not fit together. */
  readonly $id: string;
  /** Where the scripts are, scheme and host; "" where the tag's own address tells. */
  readonly $origin: string;
  /** What a choice is about, 16 hex digits: a version with the same scope asks nobody again. */
  readonly $scope: string;
  readonly $regime: "opt-in" | "opt-out" | "notice-only";
  readonly $choice_days: number;
  readonly $undeclared: "block" | "with_all" | "report";
  /** What a name that no service declares gets; left out: it waits. */
  readonly $undeclared_storage?: "allow";
  /** Hosts of the site, and those that are open before a choice, as a Content-Security-Policy names them. */
  $own: readonly string[];
  /** What this view of the page shows without a consent: a service, and which of its frames was asked for, from 0. */
  $once?: readonly [key: string, nth: number];
  /** Keys, necessary first. */
  readonly $categories: readonly string[];
  readonly $services: readonly Service[];
  readonly $languages: readonly string[];
  /** What holds before a choice, where that is not nothing: what is exempt, or all of an opt-out. */
  readonly $preset?: Selection;
  /** The other variants of a site with several regimes, by name; the boot's only. */
  readonly $variants?: Readonly<Record<string, Partial<Config>>>;
  /** Whether the variant heeds Global Privacy Control; the boot's only, of a site with several. */
  readonly $heeds?: boolean;
  /** What there is to do instead of asking: nothing, where the visitor has read the notice; or what Do Not Track says. */
  readonly $else?: "idle" | "signal";
}

/** What everything that is shown needs, besides the style. By language. */
export interface Theme {
  readonly $dir: Readonly<Record<string, "ltr" | "rtl">>;
  /** The label of the floating button. */
  readonly $reopen: Readonly<Record<string, string>>;
}

/** What the first layer needs on top of that. */
export interface Question {
  readonly $controller: string;
  readonly $policy_url: string;
  readonly $placement: "bar" | "box" | "centre";
  /** The cookie is shared by the longest of them that the page is under. */
  readonly $domains: readonly string[];
  /** The way to the choices has the sign that the law wants beside its wording. */
  readonly $pill?: boolean;
  /** By language. */
  readonly $words: Readonly<Record<string, Words>>;
}

/** Words of the first layer. */
export interface Words {
  readonly $title: string;
  readonly $body: string;
  readonly $accept_all: string;
  readonly $refuse_all: string;
  readonly $choose: string;
  readonly $policy: string;
  /** Where the first layer tells and does not ask. */
  readonly $close?: string;
  /** After Global Privacy Control, or Do Not Track, was obeyed. */
  readonly $honoured?: string;
  readonly $dnt_honoured?: string;
}

/** What the preferences need besides. */
export interface Details {
  readonly $services: readonly Detail[];
  /** By language. */
  readonly $words: Readonly<Record<string, DetailWords>>;
}

/** A service as it is shown to people. */
export interface Detail {
  readonly $key: string;
  readonly $name: string;
  readonly $provider: string;
  /** ISO 3166-1 alpha-2, or "". */
  readonly $country: string;
  readonly $policy_url: string;
  /** By language. */
  readonly $purpose: Readonly<Record<string, string>>;
  /** Where data goes, by language. */
  readonly $transfer: Readonly<Record<string, string>>;
  /** In the order of the service's trackers. */
  readonly $lifetimes: readonly Lifetime[];
}

/** A number of units of Intl.NumberFormat, 0 for as long as the browser is open, or words. */
export type Lifetime = readonly [number: number, unit: string] | 0 | string;

/** Words of the preferences. */
export interface DetailWords {
  readonly $save: string;
  readonly $close: string;
  readonly $preferences_title: string;
  readonly $preferences_body: string;
  readonly $category_name: Readonly<Record<string, string>>;
  readonly $category_description: Readonly<Record<string, string>>;
  /** On what each category rests, a line by category. */
  readonly $basis: Readonly<Record<string, string>>;
  readonly $always_active: string;
  readonly $no_services: string;
  readonly $provider: string;
  readonly $purpose: string;
  readonly $trackers: string;
  readonly $lifetime: string;
  readonly $kind_name: Readonly<Record<Kind, string>>;
  readonly $session: string;
  readonly $transfer: string;
  readonly $your_choice: string;
  readonly $record_id: string;
  readonly $consent_id: string;
  readonly $date: string;
  readonly $receipt: string;
  readonly $copy: string;
  readonly $copied: string;
  readonly $withdraw: string;
  readonly $not_sent: string;
  readonly $not_removed: string;
  readonly $blocked_title: string;
  /** By plural form; {n} is the number. */
  readonly $blocked_count: Readonly<Record<string, string>>;
  readonly $blocked_none: string;
}

/** What stands over content of other companies that was refused. */
export interface Placeholders {
  /** Those whose content has a placeholder. */
  readonly $services: readonly Embed[];
  /** By language. */
  readonly $words: Readonly<Record<string, EmbedWords>>;
}

export interface Embed {
  readonly $key: string;
  readonly $name: string;
  readonly $provider: string;
  readonly $policy_url: string;
}

/** {service} and {provider} stand for their names. */
export interface EmbedWords {
  readonly $dir: "ltr" | "rtl";
  readonly $title: string;
  readonly $body: string;
  readonly $once: string;
  readonly $always: string;
  readonly $policy: string;
}

/** The category that nobody decides on. */
export const NECESSARY = "necessary";
