// The stored choice as text, for the cookie and for its copy in local storage:
//
//   1.<consent ID>.<record ID>.<scope>.<time>.<action>.<categories>.<services>
//
// IDs are 32 hex digits, the scope is 16 hex digits, the time is Unix milliseconds
// in base 36. A list holds granted keys and refused ones with a "!", joined by "~";
// it may be empty. Every character may stand in a cookie (RFC 6265, section 4.1.1).
// internal/consent has the Go twin; client/testdata/cookie.json drives both.
import type { Action, Choice, Flags } from "./decision";

/** Longer cookies are not ours: browsers cap one at 4096 bytes. */
export const MAX_LENGTH = 3800;

/** Hundreds of services that differ from their category fit into local storage only. */
export const LONGEST = 65_536;

/** Later than year 5000; a time beyond it is nonsense. */
const MAX_TIME = 1e14;

const FORMAT =
  /^1\.([\da-f]{32})\.([\da-f]{32})\.([\da-f]{16})\.([1-9a-z][\da-z]{0,9})\.(accept_all|accept_necessary|save|withdraw|signal)\.([^.]*)\.([^.]*)$/;
const KEY = /^[a-z\d][a-z\d-]{0,62}$/;

/** One cookie per site, so that two sites under one domain do not meet. */
export function cookieName(site: string): string {
  return "assent_" + site;
}

/** Key of a decision in local storage that the register has not confirmed; its record ID follows. */
export function queueName(site: string): string {
  return "assent_queue_" + site + "_";
}

export function encode(choice: Choice): string {
  return [
    1,
    choice.consentId.replace(/-/g, ""),
    choice.recordId.replace(/-/g, ""),
    choice.scope,
    choice.time.toString(36),
    choice.action,
    list(choice.categories),
    list(choice.services),
  ].join(".");
}

/** Reads what a stranger may have written; anything but the exact format is null. */
export function decode(text: string, limit = MAX_LENGTH): Choice | null {
  // Nothing is no reason to compile an expression, which costs a new visitor's page most of all here.
  const part = text && text.length <= limit && FORMAT.exec(text);
  if (!part) return null;
  const [, consentId, recordId, scope, stamp, action, ...lists] = part as unknown as string[];
  const [categories, services] = lists.map(flags);
  const time = parseInt(stamp!, 36);
  if (!categories || !services || time > MAX_TIME) return null;
  return { consentId: dashed(consentId!), recordId: dashed(recordId!), scope: scope!, time, action: action as Action, categories, services };
}

function list(values: Flags): string {
  return Object.keys(values)
    .sort()
    .map((key) => (values[key] ? key : "!" + key))
    .join("~");
}

function flags(text: string): Flags | null {
  const values: Record<string, boolean> = {};
  let last = "";
  for (const item of text && text.split("~")) {
    const key = item.replace(/^!/, "");
    // Sorted and without repeats, so that a choice has one spelling.
    if (!KEY.test(key) || key <= last) return null;
    values[(last = key)] = key === item;
  }
  return values;
}

/** A UUID from its hex digits. */
export function dashed(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
