// Types of window.assent, the interface of the consent script for a site's own code.

export interface AssentState {
  /** null until the visitor, or a signal of the browser, has decided. */
  readonly status: "accepted_all" | "accepted_partially" | "accepted_necessary" | null;
  /** What holds now: every category, necessary included. */
  readonly categories: Readonly<Record<string, boolean>>;
  /** What holds now: every service. */
  readonly services: Readonly<Record<string, boolean>>;
  /** Of the last decision; "" before it. */
  readonly recordId: string;
  readonly consentId: string;
  /** When it was decided, by the visitor's clock; null before. */
  readonly date: Date | null;
  /** Notice version in force, SHA-256 in hex. */
  readonly version: string;
  readonly action: "accept_all" | "accept_necessary" | "save" | "withdraw" | "signal" | "";
  /** The decision waits to be sent to the register. */
  readonly waiting: boolean;
  /**
   * What services that are refused now have left behind and no page can remove: names of
   * cookies, those of other sites with their host. Undefined where no service declares cookies,
   * and in a page that has not loaded the part that decides (the boot form).
   */
  readonly left?: readonly string[] | undefined;
}

export interface AssentEvents {
  /** A decision was made, in this tab or another one; told in a task of its own, once it is stored and the layers are hidden. */
  change: AssentState;
  /** A layer is shown, or none ("") any more. */
  layer: "banner" | "preferences" | "";
}

export interface Assent {
  /** What holds now. */
  get(): AssentState;
  /** Whether a category or a service may be used; false for a key that the notice does not have. */
  allowed(key: string): boolean;
  /** Opens the preferences. Links with the attribute data-assent-open do the same. */
  open(): void;
  /**
   * Decides for the visitor, who must have acted: "all", "none", or some keys
   * (the others stay as they are). Resolves after the first try to send the decision.
   * Rejects with a TypeError, and decides nothing, for another shape, a key that the
   * notice does not have, or a value that is no boolean.
   */
  set(choice: "all" | "none" | { categories?: Record<string, boolean>; services?: Record<string, boolean> }): Promise<void>;
  /** Takes everything back, deletes what refused services have stored, and reloads the page. */
  withdraw(): Promise<void>;
  /** Calls back at every event; returns the function that ends it. */
  on<K extends keyof AssentEvents>(event: K, callback: (value: AssentEvents[K]) => void): () => void;
  /** Resolves when the stored choice has been read. */
  readonly ready: Promise<AssentState>;
}

declare global {
  interface Window {
    assent?: Assent;
  }
}
