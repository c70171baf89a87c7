// The way in: once per page, whatever the page does with the tag.
import { expose } from "./api";
import { App, type Parts } from "./app";
import type { Config } from "./config";

export function start(config: Config, parts: Parts): void {
  let app: App;
  let script: HTMLScriptElement | null = null;
  let origin = "";
  try {
    script = (document.currentScript ?? document.querySelector(`script[src*="/b/${config.$site}.js"]`)) as HTMLScriptElement | null;
    // An element with the ID "assent" has that name on window, too.
    if (typeof window.assent?.allowed === "function") return console.warn("Assent: the tag is here twice");
    if (!script) throw Error("Assent: the tag is no script");
    origin = new URL(script.src, location.href).origin;
    app = new App(config, parts, origin);
  } catch (error) {
    // Whether anything is granted is not known, and so nothing is.
    parts.$enforce?.(config, null, origin);
    throw error;
  }
  if (parts.$enforce && (document.scripts[0] !== script || script.async || script.defer)) {
    console.warn("Assent: the tag is not the first script");
  }
  app.$run(script);
  Object.defineProperty(window, "assent", { value: Object.freeze(expose(app)) });
}
