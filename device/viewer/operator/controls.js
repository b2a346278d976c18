/* A camera's own controls. Each has its range, if the device tells what the camera offers; others are set by name. */

import { $, tame } from "../page/text.js";
import { act, chosen, field, fields, input, rebuild, select } from "./panel.js";
import { tableOf, valueOf } from "./configuration.js";
import { camerasOf } from "./health.js";
import { change } from "./settings.js";

const MAX_CONTROLS = 100, MAX_ITEMS = 64;
const BOOLEANS = [["on", "true"], ["off", "false"]];

export function drawControls() {
  if ($("controls-form").contains(document.activeElement) && $("controls").children.length) return;
  const cameras = camerasOf(chosen.status).map((name) => [name, offeredBy(name), Object.entries(setOf(name)).slice(0, MAX_CONTROLS)]);
  rebuild($("controls"), cameras, () => cameras.map(([name, known, given]) => {
    const names = known.map(([key]) => key.toLowerCase());
    const others = given.filter(([key]) => !names.includes(key.toLowerCase()));
    return fields(name, ...known.map(([key, each]) => control(name, key, each ?? {})),
      ...others.map(([key, value]) => field(tame(key, 64), plain(`${keyOf(name)}.${key}`, JSON.stringify(value)))), byName(name));
  }));
}

/* What the camera itself offers, if it is open. */
const offeredBy = (name) => Object.entries(chosen.config?.[keyOf(name)]?.offered ?? {}).slice(0, MAX_CONTROLS);
const keyOf = (name) => `${tableOf(name, "camera")}.controls`;
function setOf(name) {
  const value = valueOf(keyOf(name));
  return value && typeof value === "object" ? value : {};
}

function control(name, key, { kind, least, most, step, default: usual, items }) {
  const now = Object.entries(setOf(name)).find(([each]) => each.toLowerCase() === key.toLowerCase())?.[1];
  const full = `${keyOf(name)}.${key}`, menu = kind === "menu" && Array.isArray(items);
  let made;
  if (menu || kind === "boolean") {
    const options = menu ? items.slice(0, MAX_ITEMS).map(([value, text]) => [tame(text, 64), String(value)]) : BOOLEANS;
    made = select(full, [["as the camera has it", ""], ...options], String(now ?? ""));
  } else {
    made = input("number", full, { min: least, max: most, step: kind === "integer" ? step || 1 : "any", value: now ?? "" });
  }
  made.dataset.shown = made.value;
  const bounds = menu || kind === "boolean" ? "" : `${Number(least)} to ${Number(most)}`;
  return field(tame(key, 64), made, [bounds, usual == null ? "" : `default ${tame(usual, 32)}`].filter(Boolean).join(", "));
}

function plain(key, value) {
  const made = input("text", key, { value });
  made.dataset.shown = value;
  return made;
}

/* For a control that is not listed. If name or value do not fit the camera, the device says what does. */
function byName(name) {
  const line = document.createElement("div"), key = input("text", "", { placeholder: "Contrast" });
  const value = input("text", "", { placeholder: "1.2" });
  line.className = "by-name";
  line.dataset.table = keyOf(name);
  line.append(field("Another control", key), field("Its value", value));
  return line;
}

/* What was typed: true, a number, a list, or a text. */
function valueIn(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

$("controls-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const listed = [...$("controls").querySelectorAll("[data-shown]")].filter((each) => each.value !== "" && each.value !== each.dataset.shown)
    .map((each) => [each.name, valueIn(each.value)]);
  const named = [...$("controls").querySelectorAll(".by-name")].map((each) => [each.dataset.table, ...[...each.querySelectorAll("input")].map(({ value }) => value.trim())])
    .filter(([, key, value]) => key && value).map(([table, key, value]) => [`${table}.${key}`, valueIn(value)]);
  const values = Object.fromEntries([...listed, ...named]);
  act("controls", $("controls-form").querySelector("[type=submit]"), () => change(values, $("controls-persist").checked));
});
