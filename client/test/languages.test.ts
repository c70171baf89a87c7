// The languages' files and the rules that Go knows of them, against Intl.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";

type Forms = Record<string, string>;
type Texts = Partial<Record<"partners" | "blocked_count", Forms>>;

const folder = new URL("../../internal/i18n/banner/", import.meta.url);
const tags = readdirSync(folder).map((name) => name.replace(".json", ""));
const read = (tag: string) => JSON.parse(readFileSync(new URL(tag + ".json", folder), "utf8")) as Texts;
/** A variant states only what differs from its base. */
const forms = (tag: string, name: keyof Texts): Forms => read(tag)[name] ?? read(tag.split("-")[0]!)[name]!;

describe("plural forms", () => {
  for (const tag of tags) {
    const wanted = [...new Intl.PluralRules(tag).resolvedOptions().pluralCategories].sort();
    test(`${tag} has ${wanted.join(", ")}`, () => {
      for (const name of ["partners", "blocked_count"] as const) assert.deepEqual(Object.keys(forms(tag, name)).sort(), wanted, name);
    });
  }
});

describe("the rules that Go chooses by", () => {
  const vectors = JSON.parse(readFileSync(new URL("../testdata/plurals.json", import.meta.url), "utf8")) as {
    from: number;
    to: number;
    cases: { languages: string[]; forms: Record<string, string> }[];
  };
  test("are there for every language", () => assert.deepEqual(vectors.cases.flatMap((c) => c.languages).sort(), tags.sort()));
  for (const { languages, forms: ranges } of vectors.cases) {
    const wanted = new Map<number, string>();
    for (const [form, text] of Object.entries(ranges)) {
      for (const range of text.split(" ")) {
        const [a, b = a] = range.split("-").map(Number) as [number, number?];
        for (let n = a; n <= b; n++) wanted.set(n, form);
      }
    }
    for (const tag of languages) {
      test(tag, () => {
        const rules = new Intl.PluralRules(tag);
        for (let n = vectors.from; n <= vectors.to; n++) assert.equal(wanted.get(n), rules.select(n), `${n} in ${tag}`);
      });
    }
  }
});
