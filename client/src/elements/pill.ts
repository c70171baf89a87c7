// The sign that stands beside "Your Privacy Choices": a pill with a tick and a cross.

const SVG = "http://www.w3.org/2000/svg";

export function pill(): SVGElement {
  const icon = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  icon.setAttribute("viewBox", "0 0 34 18");
  icon.setAttribute("class", "pill");
  icon.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M9 2h16a7 7 0 0 1 0 14H9A7 7 0 0 1 9 2zM20 2l-5 14M6.5 9.5l2 2 3.5-5M22 6.5l5 5M27 6.5l-5 5");
  icon.append(path);
  return icon;
}
