/* What the panels share: the chosen device, a result line, and a call that a button or a form makes. */

import { $, put } from "../page/text.js";
import { call } from "./calls.js";
import { operator } from "./session.js";

/* identity: of the device that is called; status, config: its last answers. */
export const chosen = { identity: null, status: null, config: null };

export const ask = (operation, values) => call(operator.room, chosen.identity, operation, values);

/* Shows a text below a panel. */
export function result(panel, text, tone = "") {
  const line = $(`${panel}-result`);
  line.dataset.tone = tone;
  put(line, text);
}

/* Does something for a panel while its button waits, and shows what came of it. */
export async function act(panel, button, doing) {
  if (button.disabled) return;
  button.disabled = true;
  result(panel, "…", "wait");
  try {
    result(panel, (await doing()) ?? "", "good");
  } catch (error) {
    result(panel, error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

/* Replaces a list only if what it shows has changed: a list that is rebuilt loses the focus and what was typed. */
export function rebuild(element, key, children) {
  const text = JSON.stringify(key);
  if (element.dataset.key === text) return;
  element.dataset.key = text;
  element.replaceChildren(...children());
}

/* A labelled field. */
export function field(text, input, bounds = "") {
  const label = document.createElement("label");
  label.append(text, input);
  if (bounds) {
    const more = document.createElement("span");
    more.className = "bounds";
    more.textContent = bounds;
    label.append(more);
  }
  return label;
}

export function fields(title, ...children) {
  const set = document.createElement("fieldset"), legend = document.createElement("legend");
  legend.textContent = title;
  set.append(legend, ...children);
  return set;
}

export function input(type, name, properties = {}) {
  return Object.assign(document.createElement("input"), { type, name, ...properties });
}

export function select(name, options, value) {
  const made = Object.assign(document.createElement("select"), { name });
  made.append(...options.map(([text, each]) => new Option(text, each, false, each === value)));
  return made;
}

/* A form; `doing` gets what was filled in. */
export function form(doing, ...children) {
  const made = document.createElement("form");
  made.append(...children);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    doing(new FormData(made));
  });
  return made;
}

export const submit = (text) => Object.assign(button(text), { type: "submit" });

export function hint(text) {
  return Object.assign(document.createElement("p"), { className: "hint", textContent: text });
}

export function button(text, pressed) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
  return made;
}
