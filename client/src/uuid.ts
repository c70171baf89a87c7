// RFC 9562. crypto.randomUUID exists only in secure contexts, and a shop in
// development has none.

/** Random: a consent ID says nothing about the visitor. */
export function uuid4(): string {
  return format(random(), 4);
}

/** Time-ordered: the register's index grows at its end. */
export function uuid7(now: number): string {
  const bytes = random();
  for (let i = 5; i >= 0; i--, now = Math.floor(now / 256)) bytes[i] = now % 256;
  return format(bytes, 7);
}

function random(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

function format(bytes: Uint8Array, version: number): string {
  bytes[6] = (bytes[6]! & 15) | (version << 4);
  bytes[8] = (bytes[8]! & 63) | 128;
  const hex = Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
