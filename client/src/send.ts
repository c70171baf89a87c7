// The queue of decisions that the register has not confirmed. Each has a key of
// its own in local storage, so that two tabs cannot overwrite each other's; they
// may both send it, which the record ID makes harmless.
import { delay, parseEntry, settled, type Entry } from "./backoff";
import { queueName } from "./cookie";
import { keep, local } from "./storage";

/** How long a tab that sends keeps others away from an entry, in milliseconds. */
const CLAIM = 15_000;

/** A later task, after so many milliseconds. */
export function pause(time?: number | void): Promise<void> {
  return new Promise((done) => setTimeout(done, time as number));
}

export class Queue {
  private readonly _prefix: string;
  private readonly _url: string;
  private _timer = 0;
  private _running: Promise<void> | undefined;

  constructor(site: string, origin: string) {
    this._prefix = queueName(site);
    this._url = origin + "/v1/consents";
  }

  /** Keeps the decision and sends it; resolves after the first try. */
  $add(recordId: string, body: string): Promise<void> {
    if (this._put(this._prefix + recordId, { body, tries: 0, next: 0 })) return this.$flush();
    // Local storage is full: one try is better than none.
    return this._post(body).then(() => {});
  }

  /** Whether the decision still waits. */
  $waits(recordId: string): boolean {
    return !!local.getItem(this._prefix + recordId);
  }

  /** Sends what is due in a later task, oldest first; eager ignores the back-off. */
  $flush(eager = false): Promise<void> {
    // A failed pass keeps neither a reload nor the next pass from coming.
    this._running = (this._running ?? Promise.resolve()).then(pause).then(() => this._pass(eager)).catch(console.error);
    return this._running;
  }

  private async _pass(eager: boolean): Promise<void> {
    clearTimeout(this._timer);
    // Record IDs grow with time, so sorting keeps a withdrawal behind its consent.
    for (const key of Object.keys(local).sort()) {
      if (!key.startsWith(this._prefix)) continue;
      const entry = parseEntry(local.getItem(key));
      if (!entry) {
        local.removeItem(key);
        continue;
      }
      const now = Date.now();
      // A wait longer than any of ours comes from a clock that was wrong.
      const wait = Math.min(entry.next - now, delay(entry.tries, 1));
      if (wait > 0 && !eager) return this._later(wait);
      this._put(key, { ...entry, next: now + CLAIM });
      const status = await this._post(entry.body);
      if (!settled(status)) {
        const pause = Math.round(delay(entry.tries, Math.random()));
        this._put(key, { body: entry.body, tries: entry.tries + 1, next: Date.now() + pause });
        return this._later(pause);
      }
      if (status >= 400) console.warn("Assent: refused", status);
      local.removeItem(key);
    }
  }

  private _later(wait: number): void {
    this._timer = window.setTimeout(() => void this.$flush(), wait);
  }

  private async _post(body: string): Promise<number> {
    try {
      // text/plain needs no preflight; keepalive outlives the page.
      const headers = { "Content-Type": "text/plain" };
      const response = await fetch(this._url, { method: "POST", body, headers, keepalive: true, credentials: "omit" });
      return response.status;
    } catch {
      return 0;
    }
  }

  private _put(key: string, entry: Entry): boolean {
    return keep(local, key, JSON.stringify(entry));
  }
}
