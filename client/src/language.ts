// Which of the notice's languages a visitor reads. No DOM.

/** The first of the wanted languages that there is, exactly or by its base; else the fallback, languages[0]. */
export function pick(languages: readonly string[], wanted: readonly string[]): string {
  for (const want of wanted) {
    const lower = want.toLowerCase();
    const base = lower.split("-")[0]!;
    const found =
      languages.find((l) => l.toLowerCase() === lower) ??
      languages.find((l) => l.toLowerCase() === base) ??
      languages.find((l) => l.toLowerCase().split("-")[0] === base);
    if (found && base) return found;
  }
  return languages[0]!;
}

/** Whether a language is written from right to left. */
export function rightToLeft(language: string): boolean {
  return /^(ar|arc|ckb|dv|fa|he|iw|ps|sd|ug|ur|yi)(-|$)|-(Arab|Hebr)\b/.test(language) && !/-Latn\b/.test(language);
}
