// What a visitor shows for one view of one page: no consent, and never recorded as
// one. A policy is only loosened by a reload, and so the service's key waits in session
// storage for the next load of the same address, which takes it away at once.
import type { Config } from "../config";
import type { Selection } from "../decision";
import { quietly } from "../safely";
import { enforce } from "./meta";

const ONCE = "assent_once";

/** Lets the next load of this address show the service; nth: which of its frames was asked for, from 0. */
export function showNext(key: string, nth: number): void {
  quietly(() => sessionStorage.setItem(ONCE, [key, nth, location.href].join(" ")));
}

/**
 * Tells a gate the same, whose policy comes with the page: it reads this cookie with that one
 * load, and takes it away. The page then says that its policy is another one's, and so the boot
 * puts its own in place, which lets the service through only where showNext said so.
 */
export function tellGate(site: string, key: string): void {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const address = encodeURIComponent(location.pathname + location.search);
  quietly(() => (document.cookie = `assent_${site}_once=${key}.${address}; Path=/; Max-Age=30; SameSite=Lax${secure}`));
}

/** Puts the policy in place, see meta.ts, and lets through what showNext said before this load. */
export function enforceOnce(config: Config, selection: Selection | null, origin: string): boolean {
  if (selection) quietly(() => take(config));
  return enforce(config, selection, origin);
}

function take(config: Config): void {
  const [key, nth, href] = (sessionStorage.getItem(ONCE) ?? "").split(" ");
  sessionStorage.removeItem(ONCE);
  const service = config.$services.find((one) => one.key === key);
  if (!service || href !== location.href) return;
  // Its hosts alone: were the service itself granted, everything could seem
  // accepted, and what nobody declared would come with it.
  config.$own = [...config.$own, ...service.hosts];
  config.$once = [service.key, Number(nth)];
}
