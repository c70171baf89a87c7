// An event for a tag manager that reads a data layer: a trigger "custom event
// assent_consent", and variables such as assent.analytics.
// https://developers.google.com/tag-platform/tag-manager/datalayer
import { list, type Signal } from "./signal";

/** Tells at every page view and decision which of the categories may be used. */
export function tagManager(layer: string, categories: readonly string[]): Signal {
  return (allowed, _first, decided) => {
    const assent = Object.fromEntries(categories.map((key) => [key, allowed(key)]));
    list(layer).push({ event: "assent_consent", assent: { ...assent, decided } });
  };
}
