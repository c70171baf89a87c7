// The first layer where everything runs until it is refused, or where a signal of the
// browser has refused already: it tells, and asks nothing.
import type { Question, Words } from "../config";
import { uniform } from "../decision";
import { gpc } from "../signals";
import { tell } from "../regimes";
import { layer, way, type First } from "./banner";
import { button } from "./dom";
import { pill } from "./pill";
import type { Desk } from "./ui";

type Tag = "section" | "dialog";

/** Closing is no choice: this device keeps that the notice was read, and nothing is recorded. */
function read(look: string, desk: Desk, texts: Words, rest: () => void): HTMLElement {
  return button(look + " close", texts.$close!, () => {
    tell(desk.$config);
    rest();
  });
}

/** Refusing is one click, as closing is; the way to the choices has the wording that the law wants. */
export function optOut(desk: Desk, question: Question, texts: Words, tag: Tag, choose: () => void, hint: () => void, rest: () => void): First {
  const choices = way(texts, choose, hint);
  if (question.$pill) choices.append(pill());
  return layer(
    question,
    texts,
    tag,
    [],
    button("main refuse", texts.$refuse_all, () => desk.$decide("accept_necessary", uniform(desk.$config, false), "banner")),
    read("main", desk, texts, rest),
    choices,
  );
}

/** Where the visitor is only informed. */
export function informed(desk: Desk, question: Question, texts: Words, tag: Tag, _choose: () => void, _hint: () => void, rest: () => void): First {
  return layer(question, texts, tag, [], read("main", desk, texts, rest));
}

/** After a signal was obeyed. */
export function confirmation(_desk: Desk, question: Question, texts: Words, tag: Tag, choose: () => void, hint: () => void, rest: () => void): First {
  const said = gpc() ? { $title: "Global Privacy Control", $body: texts.$honoured! } : { $title: "Do Not Track", $body: texts.$dnt_honoured! };
  return layer(question, { ...texts, ...said }, tag, [], button("main close", texts.$close!, rest), way(texts, choose, hint));
}
