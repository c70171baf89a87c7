// RFC 9562. crypto.randomUUID exists only in secure contexts, and a shop in
// development has none.

import { dashed } from "./cookie";

/** Random: a consent ID says nothing about the visitor. */
export function uuid4(): string {
  return make("", 4);
}

/** Time-ordered, by Unix milliseconds: the register's index grows at its end. */
export function uuid7(now: number): string {
  return make(now.toString(16).padStart(12, "0"), 7);
}

function make(head: string, version: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[8] = (bytes[8]! & 63) | 128;
  const hex = Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join("");
  return dashed(head + hex.slice(head.length, 12) + version + hex.slice(13));
}
