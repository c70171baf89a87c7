// The console's live preview: both layers, and nothing stored, sent or blocked.
import type { Config } from "./config";
import { preset, type Selection } from "./decision";
import { Ui, type Desk, type Floating } from "./elements/ui";

export function preview(config: Config, floating?: Floating): void {
  const desk: Desk & { selection: Selection } = {
    config,
    selection: preset(config),
    choice: null,
    receipt: "",
    waiting: false,
    decide(_action, selection) {
      desk.selection = selection;
      ui.rest();
      if (!floating) ui.ask();
    },
    shown() {},
  };
  const ui = new Ui(desk, floating);
  ui.ask();
}
