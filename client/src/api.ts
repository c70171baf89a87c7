// window.assent: a thin face of the boot, and of what it loads when somebody decides.
import type { Assent } from "../assent";
import type { Boot } from "./boot";

export function expose(boot: Boot): Assent {
  return {
    get: () => (boot.n ?? boot).get(),
    allowed: (key) => (boot.n ?? boot).allowed(key),
    open: () => void boot.$app().then((app) => app.open()).catch(console.error),
    set: async (choice) => (await boot.$app()).$set(choice),
    withdraw: async () => (await boot.$app()).$withdraw("api"),
    on: (event, callback) => boot.on(event, callback),
    ready: Promise.resolve(boot.get()),
  };
}
