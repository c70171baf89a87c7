// The way in: once per page, whatever the page does with the tag.
import { expose } from "./api";
import { App, type Parts } from "./app";
import type { Config } from "./config";

export function start(config: Config, parts: Parts): void {
  const current = document.currentScript;
  const script =
    current instanceof HTMLScriptElement
      ? current
      : document.querySelector<HTMLScriptElement>(`script[src*="/b/${config.$site}.js"]`);
  // An element with the ID "assent" has that name on window, too.
  if (typeof window.assent?.allowed === "function") return console.warn("Assent: the tag is here twice.");
  if (!script) return console.warn("Assent: the tag is no script element.");
  if (parts.enforce && (document.scripts[0] !== script || script.async || script.defer)) {
    console.warn("Assent: the tag is not the first script, or async.");
  }
  const app = new App(config, parts, script, new URL(script.src, location.href).origin);
  Object.defineProperty(window, "assent", { value: Object.freeze(expose(app)), enumerable: true });
}
