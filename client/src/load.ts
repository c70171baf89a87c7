// Scripts that come when they are needed. What stands behind the question mark tells the
// server what they have to fit to.
import type { Boot, Carrier } from "./boot";
import { trusted } from "./trusted";

/** Resolves when the script, or its successor of another version, has run, or cannot be had; the same name is loaded once. */
export function load(b: Boot, name: string): Promise<void> {
  return b.$loading[name] || (b.$loading[name] = new Promise((done) => {
    const script = document.createElement("script") as Carrier;
    script.b = b;
    script.d = done;
    script.onerror = () => {
      // The next one who needs it tries again.
      delete b.$loading[name];
      done();
    };
    script.nonce = b.$nonce;
    script.src = trusted(b, "createScriptURL", `${b.$origin}/b/${b.$config.$site}/${name}.${b.$language()}.js?${b.i}`);
    document.head.append(script);
  }));
}
