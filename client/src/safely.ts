// A page may have broken anything that a step of ours needs.

/** Runs a step that must not keep others from running; what it throws is told in the console. */
export function safely<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    console.error(error);
  }
}

/** The same for what browsers refuse now and then. */
export function quietly<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch {}
}
