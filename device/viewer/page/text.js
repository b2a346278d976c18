/* Text from others, and elements. */

export const MAX_NAME = 64, MAX_VALUE = 120;

export const $ = (id) => document.getElementById(id);

/* Names and attributes come from any participant: they are set as text only, without control and direction
   characters, and with a maximum length. */
export function tame(text, limit) {
  const plain = String(text ?? "").slice(0, 4 * limit)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  const marks = Array.from(plain);
  return marks.length > limit ? marks.slice(0, limit - 1).join("") + "…" : plain;
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/* A button that shows an icon, which is a path in a square of 24. */
export function iconButton(path) {
  const button = make("button", "icon"), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS(svg.namespaceURI, "path");
  button.type = "button";
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  button.append(svg);
  return button;
}

export function label(button, text) {
  if (button.getAttribute("aria-label") === text) return;
  button.setAttribute("aria-label", text);
  button.title = text;
}
