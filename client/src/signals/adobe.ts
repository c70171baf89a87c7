// Adobe Experience Platform Web SDK (alloy), Adobe standard 2.0. The page
// configures it with defaultConsent "pending" or "out".
// https://experienceleague.adobe.com/docs/experience-platform/web-sdk/commands/setconsent.html
// https://experienceleague.adobe.com/docs/experience-platform/web-sdk/install/library.html (base code)
import { list, type Signal } from "./signal";

interface Alloy {
  (...command: unknown[]): Promise<unknown>;
  q: unknown[];
}

export function adobe(key: string): Signal {
  let own: Alloy | undefined;
  let configured = false;
  let granted = false;
  return (allowed, first) => {
    const page = window as unknown as { alloy?: Alloy };
    const say = () => {
      const yes = allowed(key);
      // Telling makes a request: who never heard a yes is not told a no.
      if ((configured || page.alloy !== own) && (yes || granted)) {
        page.alloy!("setConsent", { consent: [{ standard: "Adobe", version: "2.0", value: { collect: { val: yes ? "y" : "n" } } }] }).catch(() => {});
        granted = yes;
      }
    };
    if (!first || page.alloy) return say();
    // What the vendor's base code makes, which steps back when it finds it. Consent can be set
    // once the library is configured, and has to be before the page sends an event.
    const queue: unknown[] = [];
    own = Object.assign(
      (...command: unknown[]) => {
        const answer = new Promise((done, fail) => queue.push([done, fail, command]));
        if (command[0] === "configure") {
          configured = true;
          say();
        }
        return answer;
      },
      { q: queue },
    );
    page.alloy = own;
    list("__alloyNS").push("alloy");
  };
}
