// A link to another domain of the site takes the visitor's choice along.
import type { Boot } from "./boot";
import { encode } from "./cookie";
import { after, ask, join, split } from "./handover";
import { covering } from "./hosts";

/** How long a click may wait for its token, in milliseconds. */
const PATIENCE = 500;

/** How old a token may be that was made before its click; the server takes it for a minute. */
const FRESH = 40_000;

/** A token on its way. */
interface Ticket {
  readonly $domain: string;
  readonly $record: string;
  readonly $at: number;
  /** undefined: not there yet; "": not to be had. */
  $token?: string;
  $made?: Promise<void>;
}

/** Watches links that lead to other domains of the site. */
export function depart(b: Boot, domains: readonly string[]): void {
  // Two scripts of a page may bring this part.
  if (b.$departs) return;
  b.$departs = true;
  const here = covering(domains, location.hostname);
  let ticket: Ticket | undefined;

  /** The link that an event is about, where it leads to another domain of the site, which then can hear where it came from. */
  function linkOf(event: Event): HTMLAnchorElement | undefined {
    const link = event.composedPath().find((one): one is HTMLAnchorElement => one instanceof HTMLAnchorElement);
    if (!link || !/^https?:$/.test(link.protocol) || link.download || link.relList.contains("noreferrer")) return undefined;
    return [here, ""].includes(covering(domains, link.hostname)) ? undefined : link;
  }

  function prepare(link: HTMLAnchorElement): Ticket {
    const choice = b.$choice!;
    const domain = covering(domains, link.hostname);
    const now = Date.now();
    if (ticket?.$domain === domain && ticket.$record === choice.recordId && now - ticket.$at < FRESH) return ticket;
    const made: Ticket = (ticket = { $domain: domain, $record: choice.recordId, $at: now });
    made.$made = ask(b, "", { to: link.hostname, choice: encode(choice) }).then(
      ({ token }) => void (made.$token = (token as string | undefined) ?? ""),
      () => void (made.$token = ""),
    );
    return made;
  }

  function leave(event: MouseEvent): void {
    const link = linkOf(event);
    if (!link || event.button > 1) return;
    // What somebody wrote into the page's link does not go along.
    const [rest, planted] = split(link.hash);
    if (planted !== undefined) link.hash = rest;
    if (!b.$choice) return;
    const made = prepare(link);
    if (made.$token !== undefined) {
      ticket = undefined;
      if (made.$token) carry(link, join(rest, made.$token));
    } else if (!event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey) {
      // Nobody else hears of the click before it can be followed. With a key, or the
      // middle button, the browser opens a tab, which a script cannot do the same way.
      event.preventDefault();
      event.stopImmediatePropagation();
      void Promise.race([made.$made, after(PATIENCE)]).then(() => {
        made.$token ??= "";
        link.click();
      });
    }
  }

  addEventListener(
    "pointerdown",
    (event) => {
      const link = b.$choice && linkOf(event);
      if (link) prepare(link);
    },
    { capture: true, passive: true },
  );
  addEventListener("click", leave, true);
  addEventListener("auxclick", leave, true);
}

/** The link has the token while it is followed, and then is as it was. */
function carry(link: HTMLAnchorElement, hash: string): void {
  const before = ["href", "referrerpolicy"].map((name) => [name, link.getAttribute(name)] as const);
  link.hash = hash;
  // The other end takes it only from a page of the site.
  link.referrerPolicy = "origin";
  setTimeout(() => {
    for (const [name, value] of before) {
      if (value === null) link.removeAttribute(name);
      else link.setAttribute(name, value);
    }
  });
}
