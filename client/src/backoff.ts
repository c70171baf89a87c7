// When a decision is sent again. No DOM.

/** What to do with an answer: the entry is done, or it is tried again later. */
export function settled(status: number): boolean {
  return /^(2|4(?!08|29))/.test(String(status));
}

const FIRST = 2_000;
const LONGEST = 3_600_000;

/** Milliseconds until the next try after so many failed ones; spread so that clients do not return together. */
export function delay(tries: number, random: number): number {
  return Math.min(LONGEST, FIRST * 2 ** Math.min(tries, 12)) * (0.5 + random / 2);
}

/** One waiting decision, as it lies in local storage. */
export interface Entry {
  readonly body: string;
  readonly tries: number;
  /** Unix milliseconds before which nobody sends it. */
  readonly next: number;
}

/** Reads what a stranger may have written. */
export function parseEntry(text: string | null): Entry | null {
  try {
    const { body, tries, next } = JSON.parse(text ?? "") as Record<keyof Entry, unknown>;
    if (typeof body !== "string" || !Number.isInteger((tries as number) + (next as number))) return null;
    return { body, tries: Math.max(0, tries as number), next: next as number };
  } catch {
    return null;
  }
}
