// The console's live preview: both layers, and nothing stored, sent or blocked.
import type { Config } from "./config";
import type { Parts } from "./core";
import { preset, type Selection } from "./decision";
import { frame } from "./elements/frame";
import { layers, type Desk } from "./elements/ui";
import type { preferred } from "./language";

export function preview(config: Config, parts: Parts, choose?: typeof preferred): void {
  const language = choose?.(config.$languages) ?? config.$languages[0]!;
  const shown = frame(parts, language, () => void ui.$open());
  const desk: Desk & { $selection: Selection } = {
    $config: config,
    $selection: preset(config),
    $choice: null,
    $receipt: "",
    $blocked: undefined,
    $left: [],
    $waiting: false,
    $decide(_action, selection) {
      desk.$selection = selection;
      ui.$rest();
      if (!parts.$floating) ui.$ask();
    },
    $shown() {},
  };
  const ui = layers(desk, shown, language, () => parts, () => undefined);
  ui.$ask();
}
