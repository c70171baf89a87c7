// Scripts that come when they are needed.
import type { Boot, Carrier } from "./boot";
import { trusted } from "./trusted";

/** Resolves when the script, or its successor of another version, has run; the same name is loaded once. */
export function load(boot: Boot, name: string): Promise<void> {
  return (boot.$loading[name] ??= new Promise((done, fail) => {
    const script = document.createElement("script") as Carrier;
    script.b = boot;
    script.d = done;
    script.onerror = () => {
      // The next one who needs it tries again.
      delete boot.$loading[name];
      fail(Error("Assent: not loaded: " + name));
    };
    script.nonce = boot.$nonce;
    script.src = trusted(boot, "createScriptURL", `${boot.$origin}/b/${boot.$config.$site}/${name}.js`);
    document.head.append(script);
  }));
}
