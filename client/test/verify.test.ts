// The same receipts as Go's receipt package.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { verify } from "../verify/verify";

const read = (name: string) => readFileSync(new URL("../../receipt/testdata/" + name, import.meta.url), "utf8");

for (const name of ["receipt.json", "cosigned.json", "former.json"]) {
  test("verify " + name, async () => {
    const good = read(name);
    const r = await verify(good);
    assert.deepEqual(r.steps.filter((s) => !s.ok), []);
    assert.equal(r.valid, true);
    assert.equal(r.index, 5);
    assert.equal(r.size, 11);
    assert.equal(r.witnesses.length, name === "cosigned.json" ? 2 : 0);
    // No character can change, go, or come again.
    for (let i = 0; i < good.length; i += 3) {
      for (const c of ["", "A", "0", " ", '"', good[i]! + good[i]!]) {
        const bad = good.slice(0, i) + c + good.slice(i + 1);
        if (bad !== good) assert.equal((await verify(bad)).valid, false, `character ${i} (${good[i]}) as ${JSON.stringify(c)}`);
      }
    }
  });
}

test("verify refuses what is no receipt", async () => {
  for (const text of ["", "null", "[]", "{}", '{"type":"assent/receipt/v2"}']) assert.equal((await verify(text)).valid, false, text);
});
