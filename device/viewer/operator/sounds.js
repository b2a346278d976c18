/* The sounds of the device's configuration, each with a button that plays it on the speaker. */

import { $, tame } from "../page/text.js";
import { act, ask, button, field, form, hint, input, rebuild, submit } from "./panel.js";
import { valueOf } from "./configuration.js";

const MAX_SOUNDS = 32, MAX_TEXT = 200;

export function drawSounds(known) {
  const all = known ? Object.keys(valueOf("sounds") ?? {}).slice(0, MAX_SOUNDS) : null;
  const off = valueOf("speaker.source") === "off";
  rebuild($("sounds"), [all, off], () => {
    if (all === null) return [unlisted()];
    if (!all.length) return [hint("The device’s configuration has none.")];
    return off ? [hint("The device’s speaker is off: [speaker] source."), list(all)] : [list(all)];
  });
}

function list(names) {
  const row = document.createElement("div");
  row.className = "row";
  row.append(...names.map((name) => {
    const made = button(`Play ${tame(name, 32)}`);
    made.addEventListener("click", () => play(made, name));
    return made;
  }));
  return row;
}

/* Without the list an operator types the name. */
function unlisted() {
  const made = submit("Play");
  return form((given) => play(made, given.get("name").trim()),
    hint("The list of sounds is a part of the operation config, which this identity may not use."),
    field("Sound", input("text", "name", { required: true })), made);
}

/* Waits until the sound has ended. */
const play = (made, name) => act("sounds", made, async () => tame((await ask("play", { name })).text, MAX_TEXT));
