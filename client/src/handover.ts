// What both ends of a hand-over know: a choice that goes with a visitor from one domain
// of the site to another, in the address of the page. Only sites whose domains share no
// cookie have it in their scripts.
import type { Boot } from "./boot";

/** In the fragment, which no server and no log sees. */
const NAME = "assent_handover=";
const TOKEN = /(^#?|&)assent_handover=([\w-]*)$/;

/** A fragment, with its "#" or empty, without the token; and the token. */
export function split(hash: string): [rest: string, token: string | undefined] {
  return [hash.replace(TOKEN, ""), TOKEN.exec(hash)?.[2]];
}

/** The fragment with a token. */
export function join(rest: string, token: string): string {
  return (rest.length > 1 ? rest + "&" : "#") + NAME + token;
}

/** Asks the server; what it answers, or nothing. */
export async function ask(b: Boot, path: string, body: Record<string, string>): Promise<Record<string, unknown>> {
  // text/plain needs no preflight.
  const response = await fetch(b.$origin + "/v1/handovers" + path, {
    method: "POST",
    body: JSON.stringify({ site: b.$config.$site, ...body }),
    headers: { "Content-Type": "text/plain" },
    credentials: "omit",
  });
  return response.ok ? ((await response.json()) as Record<string, unknown>) : {};
}

/** Resolves later, in milliseconds. */
export function after(wait: number): Promise<void> {
  return new Promise((done) => setTimeout(done, wait));
}
