// Which of the notice's languages a visitor reads.

/** The first of the wanted languages that there is, exactly or by what it is a variant of; else the fallback, languages[0]. */
export function pick(languages: readonly string[], wanted: readonly string[]): string {
  for (const want of wanted) {
    // Where Chinese is written in which way is not in its tag, and Norwegian has two.
    const lower = want.toLowerCase().replace(/^zh-(tw|hk|mo)/, "zh-hant").replace(/^zh(-cn|-sg|$)/, "zh-hans").replace(/^no(?!\w)/, "nb");
    const base = (language: string) => language.toLowerCase().split("-")[0];
    const found =
      languages.find((l) => l.toLowerCase() === lower) ??
      languages.find((l) => lower.startsWith(l.toLowerCase() + "-")) ??
      languages.find((l) => base(l) === base(lower));
    if (found) return found;
  }
  return languages[0]!;
}

/** The same for the page and its browser. */
export function preferred(languages: readonly string[]): string {
  return pick(languages, [document.documentElement.lang, ...navigator.languages]);
}
