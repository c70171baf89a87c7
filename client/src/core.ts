// The parts of a page, and what comes to be when some arrive.
import type { App } from "./app";
import type { Boot } from "./boot";
import type { Details, Question, Theme } from "./config";
import type { firstLayer } from "./elements/banner";
import type { floating } from "./elements/floating";
import { frame, type Frame } from "./elements/frame";
import type { modal } from "./elements/modal";
import type { preferences } from "./elements/preferences";
import type { serviceList } from "./elements/services";
import type { dropDatabases } from "./gate/databases";
import type { leftBehind, remember } from "./gate/left";
import type { markup } from "./gate/markup";
import type { leftovers, sweep } from "./gate/remove";
import { meet, open } from "./meet";
import { release } from "./release";
import type { report } from "./report";
import { safely } from "./safely";

/** What a site may do without, or what comes later; a part that is missing is not in the script. */
export interface Parts {
  readonly $theme?: Theme;
  /** The button that opens the preferences again. */
  readonly $floating?: typeof floating;
  /** The same for a page that shows nothing else; shown when it is made. */
  readonly $button?: (open: () => void) => void;
  /** Without it the site reports nothing. */
  readonly $report?: typeof report;
  readonly $leftovers?: typeof leftovers;
  readonly $leftBehind?: typeof leftBehind;
  readonly $remember?: typeof remember;
  readonly $sweep?: typeof sweep;
  readonly $dropDatabases?: typeof dropDatabases;
  /** Without it, and with a policy in the page, it is loaded when the page has a marked element. */
  readonly $markup?: typeof markup;
  /** Decides, and asks. */
  readonly $decide?: typeof App;
  readonly $question?: Question;
  /** The first layer that fits the regime. */
  readonly $first?: typeof firstLayer;
  /** What is shown instead once a signal of the browser was obeyed. */
  readonly $confirm?: typeof firstLayer;
  /** Without it the page can be used while the first layer asks. */
  readonly $modal?: typeof modal;
  readonly $preferences?: typeof preferences;
  readonly $details?: Details;
  /** Without it the site has no services. */
  readonly $serviceList?: typeof serviceList;
  /** Made from the theme; see frame. */
  readonly $frame?: Frame;
}

/**
 * A page where nothing is to be decided: whatever decides is a part of its own, which comes when it is
 * needed. What releases marked elements has run before, where the site has nothing else (see coreProgram).
 */
export function rest(b: Boot, parts: Parts): void {
  b.$parts = parts;
  safely(() => parts.$button?.(() => open(b)));
  meet(b);
}

/** A page where something is to be decided, from the start or by and by. */
export function grow(b: Boot, parts: Parts): void {
  const late = b.$parts;
  b.$parts = { $frame: frame(parts, b.$language(), () => open(b)), ...late, ...parts };
  if (parts.$markup) release(b, parts.$markup);
  const app = (b.$app = new parts.$decide!(b));
  // A step that the page broke keeps no other from being taken. The visitor is asked first: the
  // rest comes in a later task, so that none is long.
  safely(() => app.$begin());
  setTimeout(() => {
    safely(() => parts.$report?.(b));
    if (late) app.$settle();
    else safely(() => meet(b));
  });
}
