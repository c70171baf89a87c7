// A page that a link of another domain of the site led to: before anybody is asked,
// the choice that came along is taken.
import type { Boot, BootParts, Carrier } from "./boot";
import type { Config } from "./config";
import { decode } from "./cookie";
import { grantsMore, judge, uniform, type Choice } from "./decision";
import { after, ask, split } from "./handover";
import { quietly } from "./safely";
import { begin, need } from "./start";
import { write } from "./storage";
import { read } from "./stored";

/** How long the visitor is not asked, in milliseconds. */
const PATIENCE = 3000;

/** The boot in the page; see inline in start.ts. */
export function arriving(config: Config, parts: BootParts, domains: readonly string[]): void {
  begin(config, parts, config.$origin, document.currentScript as Carrier, () => {}, (b) => arrive(b, domains, () => need(b)));
}

/** Runs what asks or rests, at once where no choice came along. */
export function arrive(b: Boot, domains: readonly string[], rest: () => void): void {
  const token = take();
  // The page that led here, which the server knows, too: a link in a stranger's page hands over nothing.
  const from = quietly(() => new URL(document.referrer).hostname);
  if (!token || !from) return rest();
  const { $config: config, s: before, $choice: stored, $decider: decider } = b;
  if (stored) rest();
  else hold(b);
  const arrived = Promise.race([ask(b, "/redeem", { token, from }).then(({ choice }) => decode(String(choice))), after(PATIENCE)])
    .catch(console.error)
    .then((choice) => {
      if (choice && !newer(b, choice)) choice = undefined;
      if (choice) write(config, domains, choice);
      if (!stored) return settle(b, choice || undefined, before) && rest();
      // A visitor who has chosen on this domain, too, has chosen anew on the other one.
      if (choice && read(config)?.recordId === choice.recordId) location.reload();
    });
  // What is asked of the part that decides waits as well.
  if (!stored) b.$decider = () => arrived.then(() => decider());
}

/** Takes the token out of the address, before any other script can read it. */
function take(): string | undefined {
  const [hash, token] = split(location.hash);
  if (token === undefined) return undefined;
  quietly(() => history.replaceState(history.state, "", location.pathname + location.search + hash));
  // The browser has looked for a place of another name.
  if (hash.length > 1) document.addEventListener("DOMContentLoaded", () => location.replace(hash));
  return token;
}

/** Where everything runs until it is refused, it waits as well. */
function hold(b: Boot): void {
  const nothing = uniform(b.$config, false);
  if (!grantsMore(b.$config, nothing, b.s)) return;
  b.s = nothing;
  b.$enforce();
  b.$tell?.();
}

/** Whether the choice is about what this page asks, in force, and the visitor's last word. */
function newer(b: Boot, choice: Choice): boolean {
  return choice.time > (read(b.$config)?.time ?? 0) && judge(b.$config, choice, Date.now(), b.$gpc) === choice;
}

/** Makes the page follow the choice, or what held before; false: it is loaded again, because a policy cannot be loosened. */
function settle(b: Boot, choice: Choice | undefined, before: Boot["s"]): boolean {
  const { $config: config } = b;
  if (b.$limit && grantsMore(config, b.$limit, choice ?? before) && (!choice || read(config)?.recordId === choice.recordId)) {
    location.reload();
    return false;
  }
  b.s = choice ?? before;
  if (choice) {
    b.$choice = choice;
    b.$consentId = choice.consentId;
    (b as { $verdict: string }).$verdict = "";
  }
  b.$tell?.();
  b.$emit("change", b.get());
  return true;
}
