// The page around verify.ts: a receipt is dropped or chosen, and what was found is
// written as text, never as markup.
import { Unable, verify, type Result } from "./verify";

const largest = 1 << 20; // bytes, as Go's receipt.Verify

const at = (id: string) => document.getElementById(id) as HTMLElement;

function put(parent: HTMLElement, tag: string, text: string, cls = ""): HTMLElement {
  const e = document.createElement(tag);
  e.textContent = text;
  if (cls) e.className = cls;
  parent.append(e);
  return e;
}

function show(r: Result): void {
  const out = at("result");
  out.replaceChildren();
  put(out, "h2", r.valid ? "✓ This receipt is valid" : "✗ This receipt is not valid", r.valid ? "good" : "bad").id = "verdict";
  const steps = put(out, "ol", "");
  for (const s of r.steps) put(steps, "li", (s.ok ? "✓ " : "✗ ") + s.detail, s.ok ? "good" : "bad");
  if (!r.valid) {
    put(out, "p", "It proves nothing: something in the file was changed.");
    return;
  }
  const list = put(out, "dl", "");
  const row = (name: string, value: string) => {
    const div = put(list, "div", "");
    put(div, "dt", name);
    put(div, "dd", value);
  };
  const text = (k: string) => String(r.record[k] ?? "");
  row("Decision", text("status") + " (" + text("action") + ")");
  row("Time", text("time"));
  for (const kind of ["categories", "services"]) {
    const choices = Object.entries(r.record[kind] as Record<string, boolean>);
    if (choices.length) row(kind, choices.map(([k, v]) => k + ": " + (v ? "granted" : "refused")).join(", "));
  }
  row("Record ID", text("record_id"));
  row("Notice version", text("version"));
  for (const w of r.witnesses) row("Cosigned by", w.name + ", " + w.time.toISOString());
  row("Key", r.key);
  put(out, "p", "Whether to trust that key is your decision: compare it with the one that the site's operator publishes, and with the receipts of others.");
}

async function read(file: File | undefined): Promise<void> {
  if (!file) return;
  const out = at("result");
  out.textContent = "Checking…";
  try {
    if (file.size > largest) throw new Error("The file is larger than 1 MiB, which no receipt is.");
    // Bytes that are not UTF-8 must not be mended silently.
    show(await verify(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer())));
  } catch (e) {
    const why = e instanceof Unable ? "This browser cannot check Ed25519 signatures (Web Crypto). Use a current one, or run: assent verify receipt.json" : e instanceof TypeError ? "The file is no receipt: it is not text." : (e as Error).message;
    out.replaceChildren();
    put(out, "p", why, "bad");
  }
}

const input = at("file") as HTMLInputElement;
input.addEventListener("change", () => void read(input.files?.[0]));
addEventListener("dragover", (e) => e.preventDefault());
addEventListener("drop", (e) => {
  e.preventDefault();
  void read(e.dataTransfer?.files[0]);
});
