// The console's live preview: both layers, and nothing stored, sent or blocked.
import type { Config } from "./config";
import { preset, type Selection } from "./decision";
import { layers, type Desk, type Looks } from "./elements/ui";

export function preview(config: Config, looks: Looks): void {
  const desk: Desk & { $selection: Selection } = {
    $config: config,
    $selection: preset(config),
    $choice: null,
    $receipt: "",
    $waiting: false,
    $decide(_action, selection) {
      desk.$selection = selection;
      ui.$rest();
      if (!looks.$floating) ui.$ask();
    },
    $shown() {},
  };
  const ui = layers(desk, looks);
  ui.$ask();
}
