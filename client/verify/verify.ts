// Checks a receipt in the browser, and sends nothing anywhere: the twin of Go's
// receipt.Verify, driven by the same files (receipt/testdata). The cryptography is
// the browser's own (Web Crypto).

export interface Step {
  name: string;
  ok: boolean;
  detail: string;
}

export interface Result {
  valid: boolean;
  steps: Step[];
  key: string;
  origin: string;
  size: number;
  index: number;
  witnesses: { name: string; time: Date }[];
  record: Record<string, unknown>;
}

/** The browser has no Ed25519: nothing can be said about the receipt. */
export class Unable extends Error {}

const encode = (s: string) => new TextEncoder().encode(s) as Uint8Array<ArrayBuffer>;
const subtle = crypto.subtle;

type Bytes = Uint8Array<ArrayBuffer>;

class Invalid extends Error {}

function check(ok: boolean, why: string): asserts ok {
  if (!ok) throw new Invalid(why);
}

/** Standard base64 in its one canonical form (RFC 4648, section 3.5). */
export function base64(s: string): Bytes {
  check(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(s), "a value is not base64");
  const text = atob(s);
  check(btoa(text) === s, "a value in base64 is loosely written");
  return Uint8Array.from(text, (c) => c.charCodeAt(0)) as Bytes;
}

function join(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out as Bytes;
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((v, i) => v === b[i]);

const sha256 = async (b: Bytes): Promise<Bytes> => new Uint8Array(await subtle.digest("SHA-256", b));

/** JSON in canonical form (RFC 8785) of what JSON.parse gave. Receipts hold no numbers but none is refused. */
export function canonical(v: unknown): string {
  if (Array.isArray(v)) return "[" + v.map(canonical).join(",") + "]";
  if (v === null || typeof v !== "object") return JSON.stringify(v);
  const o = v as Record<string, unknown>;
  return "{" + Object.keys(o).sort().map((k) => JSON.stringify(k) + ":" + canonical(o[k])).join(",") + "}";
}

interface Key {
  name: string;
  hash: Bytes;
  raw: Bytes;
}

/** A verifier key (C2SP signed-note) whose signatures have this type. */
async function parseKey(vkey: string, type: number): Promise<Key> {
  const [name = "", hex = "", ...rest] = vkey.split("+");
  const value = base64(rest.join("+"));
  check(name !== "" && !/\s/u.test(name) && value.length === 33 && value[0] === type, "a key is not an Ed25519 verifier key");
  const hash = (await sha256(join(encode(name + "\n"), value))).slice(0, 4);
  check([...hash].map((b) => b.toString(16).padStart(2, "0")).join("") === hex, "a key's hash does not belong to its name and value");
  return { name, hash, raw: value.slice(1) };
}

async function signed(key: Key, message: Bytes, signature: Bytes): Promise<boolean> {
  let imported: CryptoKey;
  try {
    imported = await subtle.importKey("raw", key.raw, "Ed25519", false, ["verify"]);
  } catch (e) {
    if ((e as Error).name === "NotSupportedError") throw new Unable();
    return false;
  }
  return subtle.verify("Ed25519", imported, signature, message);
}

const number = /^(?:0|[1-9][0-9]{0,15})$/;

interface Checkpoint {
  origin: string;
  size: number;
  root: Bytes;
  witnesses: { name: string; time: Date }[];
}

/** A signed note with the signature of the log, then those of the witnesses. */
async function openCheckpoint(text: string, vkey: string, witnesses: string[]): Promise<Checkpoint> {
  const log = await parseKey(vkey, 1);
  const split = text.indexOf("\n\n");
  check(split > 0, "the checkpoint is not a signed note");
  const body = text.slice(0, split + 1);
  const lines = body.split("\n");
  const [origin = "", size = "", root = ""] = lines;
  check(lines.length === 4 && number.test(size) && Number(size) <= 2 ** 53, "the checkpoint is not three lines");
  check(origin === log.name, "the checkpoint is of another log than the key");
  const rootHash = base64(root);
  check(rootHash.length === 32, "the checkpoint's root is no hash");
  const signatures = text.slice(split + 2).split("\n");
  check(signatures.pop() === "" && signatures.length === 1 + witnesses.length, "the checkpoint has not one signature for the log and each witness");
  const seen: Checkpoint["witnesses"] = [];
  for (const [i, line] of signatures.entries()) {
    const key = i === 0 ? log : await parseKey(witnesses[i - 1] ?? "", 4);
    const [dash, name, encoded = "", ...more] = line.split(" ");
    const value = base64(encoded);
    check(dash === "—" && name === key.name && more.length === 0 && same(value.slice(0, 4), key.hash), "a signature is not by the key that is named for it");
    if (i === 0) {
      check(value.length === 68 && (await signed(key, encode(body), value.slice(4))), "the checkpoint's signature is not by this key over these values");
      continue;
    }
    check(value.length === 76, "a cosignature has another length");
    const time = new DataView(value.buffer).getBigUint64(4);
    check(await signed(key, encode("cosignature/v1\ntime " + time + "\n" + body), value.slice(12)), "a cosignature is not by its witness over these values");
    seen.push({ name: key.name, time: new Date(Number(time) * 1000) });
  }
  check(new Set(witnesses).size === witnesses.length, "a witness is named twice");
  return { origin, size: Number(size), root: rootHash, witnesses: seen };
}

/** The root that an inclusion proof gives (RFC 9162, section 2.1.3.2; the tree of RFC 6962). */
async function rootFrom(leaf: Bytes, index: number, size: number, proof: Bytes[]): Promise<Bytes | null> {
  let fn = BigInt(index), sn = BigInt(size) - 1n;
  let hash = leaf;
  const node = (l: Bytes, r: Bytes) => sha256(join(Uint8Array.of(1), l, r));
  for (const p of proof) {
    if (sn === 0n) return null;
    if ((fn & 1n) === 1n || fn === sn) {
      hash = await node(p, hash);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      hash = await node(hash, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n ? hash : null;
}

const members = "action browser categories consent_id country device gpc gpp language network page record_id services site source status tc time type version";

/** Checks a receipt, strictly: a receipt of which any byte was changed is not valid. */
export async function verify(text: string): Promise<Result> {
  const r: Result = { valid: false, steps: [], key: "", origin: "", size: 0, index: 0, witnesses: [], record: {} };
  let step = "form";
  const passed = (detail: string) => r.steps.push({ name: step, ok: true, detail });
  try {
    const o = parse(text);
    const record = o["record"] as Record<string, unknown>;
    const witnesses = (o["witnesses"] ?? []) as string[];
    const proof = parseProof(o["proof"] as string);
    const salt = base64(o["salt"] as string);
    check(salt.length === 32, "the salt is not 32 bytes");
    r.record = record;
    r.key = o["key"] as string;
    passed("The receipt is in its one permitted form.");

    step = "checkpoint";
    const c = await openCheckpoint(proof.checkpoint, r.key, witnesses);
    Object.assign(r, { origin: c.origin, size: c.size, witnesses: c.witnesses });
    passed(`The checkpoint of the log ${c.origin}, ${c.size} ${c.size === 1 ? "entry" : "entries"}, is signed by the key` + (c.witnesses.length ? ", and cosigned by " + c.witnesses.map((w) => w.name).join(", ") + "." : "."));

    step = "site";
    const site = record["site"] as string;
    check(site !== "" && !site.includes("/") && c.origin.endsWith("/log/" + site), "the record is of another site than the log");
    passed("The log is that of the record's site.");

    step = "inclusion";
    const mac = await subtle.importKey("raw", salt, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const commitment = new Uint8Array(await subtle.sign("HMAC", mac, encode(canonical(record))));
    const leaf = await sha256(join(Uint8Array.of(0), commitment));
    check(proof.index < c.size, "the record is beyond the log's end");
    const root = await rootFrom(leaf, proof.index, c.size, proof.hashes);
    check(root !== null && same(root, c.root), `the record, with this salt, is not entry ${proof.index} of that log: it or the proof was changed`);
    r.index = proof.index;
    passed(`The record, with its salt, is entry ${proof.index} of that log.`);
    r.valid = true;
  } catch (e) {
    if (!(e instanceof Invalid)) throw e;
    r.steps.push({ name: step, ok: false, detail: e.message[0]!.toUpperCase() + e.message.slice(1) + "." });
  }
  return r;
}

function parse(text: string): Record<string, unknown> {
  let o: Record<string, unknown>;
  try {
    o = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new Invalid("the file is no receipt: it is not JSON");
  }
  const type = o?.["type"];
  check(type === "assent/receipt/v1" || type === "assent/receipt/v2", "the file is no receipt of Assent");
  const cosigned = type === "assent/receipt/v2";
  const record = o["record"] as Record<string, unknown>;
  const witnesses = o["witnesses"];
  check(Object.keys(o).sort().join(" ") === "key proof record salt type" + (cosigned ? " witnesses" : ""), "the receipt has members that it should not have, or lacks some");
  check(["key", "proof", "salt"].every((k) => typeof o[k] === "string") && record !== null && typeof record === "object", "a member of the receipt has another type");
  check(!cosigned || (Array.isArray(witnesses) && witnesses.length > 0 && witnesses.every((w) => typeof w === "string")), "the witnesses are not named");
  check(Object.keys(record).sort().join(" ") === members && record["type"] === "assent/record/v1", "the record has members that it should not have, or lacks some");
  for (const [k, v] of Object.entries(record)) {
    const map = k === "categories" || k === "services";
    check(map ? v !== null && typeof v === "object" && !Array.isArray(v) && Object.values(v).every((c) => typeof c === "boolean") : typeof v === (k === "gpc" ? "boolean" : "string"), "a member of the record has another type");
  }
  check(canonical(o) === text, "the receipt is not in canonical form (RFC 8785): it was changed, reformatted or cut");
  return o;
}

function parseProof(text: string): { index: number; hashes: Bytes[]; checkpoint: string } {
  const split = text.indexOf("\n\n");
  const [head, index = "", ...hashes] = text.slice(0, split).split("\n");
  const n = index.replace(/^index /, "");
  check(split > 0 && head === "c2sp.org/tlog-proof@v1" && index.startsWith("index ") && number.test(n) && hashes.length <= 64, "the proof is not a C2SP tlog-proof");
  const list = hashes.map(base64);
  check(list.every((h) => h.length === 32), "a hash of the proof has another length");
  return { index: Number(n), hashes: list, checkpoint: text.slice(split + 2) };
}
