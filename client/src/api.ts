// window.assent: a thin face of the application.
import type { Assent, AssentEvents, AssentState } from "../assent";
import type { App } from "./app";
import { NECESSARY } from "./config";
import { complete, granted, statusOf, uniform } from "./decision";

type Listeners = { [K in keyof AssentEvents]: Set<(value: AssentEvents[K]) => void> };

const listeners: Listeners = { change: new Set(), layer: new Set() };

/** Tells everybody who listens; one that fails does not keep the others from hearing. */
export function emit<K extends keyof AssentEvents>(event: K, value: AssentEvents[K]): void {
  for (const callback of listeners[event]) {
    try {
      callback(value);
    } catch (error) {
      console.error(error);
    }
  }
}

export function state(app: App): AssentState {
  const { config, choice, selection } = app;
  const value = (key: string) => granted(config, selection, key) === true;
  return {
    status: choice && statusOf(config, selection),
    categories: Object.fromEntries(config.$categories.map((key) => [key, value(key)])),
    services: Object.fromEntries(config.$services.map(({ key }) => [key, value(key)])),
    recordId: choice?.recordId ?? "",
    consentId: choice?.consentId ?? "",
    date: choice && new Date(choice.time),
    version: config.$version,
    action: choice?.action ?? "",
    waiting: app.waiting,
  };
}

export function expose(app: App): Assent {
  const { config } = app;
  return {
    get: () => state(app),
    allowed: (key) => app.allowed(key),
    open: () => app.open(),
    async set(choice) {
      if (choice === "all" || choice === "none") {
        const all = choice === "all";
        return app.decide(all ? "accept_all" : "accept_necessary", uniform(config, all), "api");
      }
      const { categories = {}, services = {} } = choice;
      const wrong = Object.entries({ ...categories, ...services }).filter(
        ([key, value]) => app.known(key) === undefined || (key === NECESSARY && !value),
      );
      if (wrong.length) throw new TypeError("Assent: there is no choice about " + wrong.map(([key]) => key).join(", "));
      return app.decide("save", complete(config, app.selection, categories, services), "api");
    },
    withdraw: () => app.decide("withdraw", uniform(config, false), "api"),
    on(event, callback) {
      listeners[event].add(callback);
      return () => void listeners[event].delete(callback);
    },
    ready: Promise.resolve(state(app)),
  };
}
