// What a page cannot remove when a service is refused, so that its visitor can be told.
import type { Boot } from "../boot";
import type { Config } from "../config";
import { granted, type Selection } from "../decision";
import { quietly } from "../safely";
import { jarNames } from "./remove";

/** Key in local storage of the services that were granted once and keep cookies on hosts of their own. */
const keyOf = (config: Config) => "assent_left_" + config.$site;

const noted = (config: Config) => quietly(() => localStorage.getItem(keyOf(config)))?.split("~") ?? [];

const isForeign = ([kind]: readonly [string, string]) => kind === "third_party_cookie";

/** Notes which of them a decision takes back. */
export function remember(config: Config, before: Selection, after: Selection): void {
  const old = noted(config);
  const keys = config.$services
    .filter(({ key, trackers }) => trackers.some(isForeign) && !granted(config, after, key) && (granted(config, before, key) || old.includes(key)))
    .map(({ key }) => key);
  quietly(() => {
    if (keys.length) localStorage.setItem(keyOf(config), keys.join("~"));
    else localStorage.removeItem(keyOf(config));
  });
}

/** Cookies of refused services that are still there, and those on other sites: their names, the latter with their host. */
export function leftBehind(b: Boot): readonly string[] {
  const { $config: config } = b;
  const old = noted(config);
  const foreign = config.$services
    .filter(({ key }) => old.includes(key) && !granted(config, b.s, key))
    .flatMap(({ hosts, trackers }) => trackers.filter(isForeign).map(([, name]) => (hosts[0] ? `${name} (${hosts[0]})` : name)));
  return [...[...jarNames()].filter((name) => b.$declared("cookie", name) === false), ...foreign];
}
