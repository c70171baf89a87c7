// A first layer that stands in the middle and waits for an answer.

/** Shows the layer, which is a dialog, above everything else. */
export function modal(layer: HTMLElement): void {
  // A question that waits for an answer is not closed by Esc.
  layer.oncancel = (event) => event.preventDefault();
  (layer as HTMLDialogElement).showModal();
}
