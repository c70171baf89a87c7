// Elements from words. Text only ever becomes a text node.

type Attributes = Readonly<Record<string, string | ((event: Event) => void)>>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes,
  ...children: (Node | string | false)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "string") element.setAttribute(name, value);
    else element.addEventListener(name, value);
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

export function button(className: string, label: string, click: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: className, click }, label);
}

/** A link that opens beside the page; false without an address. The compiler lets addresses on the web through and no other. */
export function link(address: string, label: string): HTMLAnchorElement | false {
  return address !== "" && h("a", { href: address, target: "_blank", rel: "noopener" }, label);
}
