// window.assent: a thin face of the application.
import type { Assent, AssentEvents, AssentState } from "../assent";
import type { App } from "./app";
import { NECESSARY } from "./config";
import { complete, granted, statusOf, uniform } from "./decision";
import { safely } from "./safely";

type Listeners = { [K in keyof AssentEvents]?: Set<(value: AssentEvents[K]) => void> };

/** Made when they are needed: nothing that a page can break may run before the policy is in. */
const listeners: Listeners = {};

/** Tells everybody who listens; one that fails does not keep the others from hearing. */
export function emit<K extends keyof AssentEvents>(event: K, value: AssentEvents[K]): void {
  listeners[event]?.forEach((callback) => safely(() => callback(value)));
}

export function state(app: App): AssentState {
  const { $config: config, $selection: selection, $choice: choice } = app;
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
    waiting: app.$waiting,
  };
}

export function expose(app: App): Assent {
  const { $config: config } = app;
  return {
    get: () => state(app),
    allowed: (key) => app.allowed(key),
    open: () => app.open(),
    async set(choice) {
      if (choice === "all" || choice === "none") {
        const all = choice === "all";
        return app.$decide(all ? "accept_all" : "accept_necessary", uniform(config, all), "api");
      }
      const { categories = {}, services = {}, ...other } = choice;
      const wrong = Object.entries({ ...categories, ...services })
        .filter(([key, value]) => granted(config, app.$selection, key) === undefined || ![true, key === NECESSARY].includes(value))
        .map(([key]) => key)
        .concat(Object.keys(other));
      if (wrong.length) throw new TypeError('Assent: use "all", "none" or {categories: {key: true}}, not ' + wrong.join(", "));
      return app.$decide("save", complete(config, app.$selection, categories, services), "api");
    },
    withdraw: () => app.$decide("withdraw", uniform(config, false), "api"),
    on(event, callback) {
      const all = ((listeners as Record<string, Set<typeof callback>>)[event] ??= new Set());
      all.add(callback);
      return () => void all.delete(callback);
    },
    ready: Promise.resolve(state(app)),
  };
}
