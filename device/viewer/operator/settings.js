/* Size, rate and bitrate of each camera, and the gain of each microphone: what `set` changes. */

import { $, tame } from "../page/text.js";
import { act, ask, chosen, field, fields, input, rebuild } from "./panel.js";
import { configurationChanged, tableOf, valueOf } from "./configuration.js";
import { streamsOf } from "./health.js";

/* Each key with its least and highest value, and the step. The device checks them; a test ties them to its schema. */
const KEYS = {
  camera: [
    ["width", "Width in pixels", 160, 3840, 2], ["height", "Height in pixels", 120, 2160, 2],
    ["fps", "Frames per second", 1, 120, 1],
    ["bitrate_max_bps", "Bits per second at most", 50000, 50000000, 1000],
    ["bitrate_min_bps", "Bits per second at least", 30000, 50000000, 1000],
  ],
  microphone: [["gain_db", "Gain in decibels", -60, 60, 0.5]],
};

export function drawSettings() {
  const streams = streamsOf(chosen.status).filter(([, each]) => KEYS[each.kind]);
  const known = streams.map(([name, each]) => [name, KEYS[each.kind].map(([key]) => valueOf(`${tableOf(name, each.kind)}.${key}`))]);
  // A new value from elsewhere replaces what is shown, unless this form has the focus.
  if ($("settings-form").contains(document.activeElement) && $("settings").children.length) return;
  rebuild($("settings"), known, () => streams.map(([name, { kind }]) => fields(name, ...KEYS[kind].map(([key, text, min, max, step]) => {
    const full = `${tableOf(name, kind)}.${key}`, now = valueOf(full);
    const made = input("number", full, { min, max, step, value: now ?? "" });
    if (step > 2) made.step = "any";  // a bitrate of any value is allowed
    made.dataset.shown = made.value;
    return field(text, made, `${min} to ${max}`);
  }))));
}

$("settings-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const values = changedNumbers($("settings"));
  act("settings", $("settings-form").querySelector("[type=submit]"), () => change(values, $("settings-persist").checked));
});

$("settings-reset").addEventListener("click", () => act("settings", $("settings-reset"), async () => {
  const text = said(await ask("reset"));
  refresh("settings", "controls");
  return text || "Nothing had been changed.";
}));

function changedNumbers(form) {
  const changed = [...form.querySelectorAll("input")].filter((each) => each.value !== "" && each.value !== each.dataset.shown);
  return Object.fromEntries(changed.map((each) => [each.name, Number(each.value)]));
}

/* Calls `set`; returns what was done for each key. */
export async function change(values, persist) {
  if (!Object.keys(values).length) throw new Error("Nothing is changed.");
  const text = said(await ask("set", { values, persist }));
  refresh("settings", "controls");
  return text;
}

/* Lets the next round show what is in effect. */
function refresh(...lists) {
  configurationChanged();
  for (const each of lists) delete $(each).dataset.key;
}

const said = ({ keys }) => Object.entries(keys ?? {}).map(([key, done]) => `${tame(key, 64)}: ${tame(done, 200)}`).join("\n");
