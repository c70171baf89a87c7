// What sites need whose visitors are not all asked first: under which regime the
// last page was, and whether a visitor has read that everything runs.
import type { Config } from "./config";
import { quietly } from "./safely";
import { keep, local } from "./storage";

const DAY = 86_400_000;

/** A variant's name stands behind the "~" of Config.$id; the strictest has none. */
const key = (config: Config) => "assent_regime_" + config.$site;
const notice = (config: Config) => "assent_told_" + config.$site;

/**
 * The configuration for the regime that a gate has made this page's policy for, or that the
 * server told the last page; before either has, the strictest. Nothing that a page can
 * break keeps the boot from running.
 */
export function recall(config: Config): Config {
  return { ...config, ...quietly(() => config.$variants![document.currentScript!.dataset.assentRegime ?? local.getItem(key(config)) ?? ""]) };
}

/** The whole script was chosen for the visitor's place: the next page begins with it. */
export function remember(config: Config): void {
  const [, name = ""] = config.$id.split("~");
  if ((local.getItem(key(config)) ?? "") !== name) keep(local, key(config), name);
}

/** The same configuration, with nothing to do where its visitor has read the notice of this scope. */
export function told(config: Config): Config {
  return (
    quietly(() => {
      const [scope, at] = local.getItem(notice(config))!.split(".");
      return scope === config.$scope && Date.now() - Number(at) < config.$choice_days * DAY && { ...config, $else: "idle" };
    }) || config
  );
}

/** The visitor has read it. */
export function tell(config: Config): void {
  keep(local, notice(config), config.$scope + "." + Date.now());
}
