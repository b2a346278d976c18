/* A camera's own controls, each with its range. */

import { $, tame } from "../page/text.js";
import { act, ask, chosen, field, fields, input, rebuild, select } from "./panel.js";
import { tableOf, valueOf } from "./configuration.js";
import { camerasOf, streamsOf } from "./health.js";
import { change } from "./settings.js";

const READ_EVERY_MS = 30_000, MAX_CONTROLS = 100, MAX_ITEMS = 64;
let readAt = -Infinity, offered = [], of = null;

/* Asks each camera that delivers for its controls, now and then. */
export async function readControls() {
  const key = JSON.stringify([chosen.identity, streamsOf(chosen.status).map(([name, each]) => [name, each.state])]);
  if (of === key && performance.now() - readAt < READ_EVERY_MS) return;
  of = key;
  readAt = performance.now();
  const found = [];
  for (const name of camerasOf(chosen.status)) {
    try {
      const { controls } = await ask("controls", { stream: name });
      found.push([name, Object.entries(controls ?? {}).slice(0, MAX_CONTROLS), ""]);
    } catch (error) {
      found.push([name, [], error.message]);
    }
  }
  offered = found;
}

export function drawControls() {
  if ($("controls-form").contains(document.activeElement) && $("controls").children.length) return;
  const known = offered.map(([name, controls, why]) => [name, controls, why, controls.map(([key]) => setTo(name, key))]);
  rebuild($("controls"), known, () => offered.map(([name, controls, why]) => {
    const lines = controls.map(([key, each]) => control(name, key, each ?? {}));
    const hint = Object.assign(document.createElement("p"), { className: "hint", textContent: why || "This camera has no controls." });
    return fields(name, ...(lines.length ? lines : [hint]));
  }));
}

const setTo = (name, key) => (valueOf(`${tableOf(name, "camera")}.controls`) ?? {})[key];

function control(name, key, { kind, least, most, step, default: usual, items }) {
  const full = `${tableOf(name, "camera")}.controls.${key}`, now = setTo(name, key);
  const bounds = kind === "menu" || kind === "boolean" ? "" : `${least} to ${most}`;
  let made;
  if (kind === "menu" && Array.isArray(items)) {
    made = select(full, [["as the camera has it", ""], ...items.slice(0, MAX_ITEMS).map(([value, text]) => [tame(text, 64), String(value)])], String(now ?? ""));
  } else if (kind === "boolean") {
    made = select(full, [["as the camera has it", ""], ["on", "true"], ["off", "false"]], String(now ?? ""));
  } else {
    made = input("number", full, { min: least, max: most, step: kind === "integer" ? step || 1 : "any", value: now ?? "", placeholder: usual ?? "" });
  }
  made.dataset.shown = made.value;
  made.dataset.kind = String(kind);
  return field(tame(key, 64), made, [bounds, usual == null ? "" : `default ${tame(String(usual), 32)}`].filter(Boolean).join(", "));
}

$("controls-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const changed = [...$("controls").querySelectorAll("input, select")].filter((each) => each.value !== "" && each.value !== each.dataset.shown);
  const values = Object.fromEntries(changed.map((each) => [each.name, each.dataset.kind === "boolean" ? each.value === "true" : Number(each.value)]));
  act("controls", $("controls-form").querySelector("[type=submit]"), () => change(values, $("controls-persist").checked));
});
