/* Privacy of all streams, and of each. */

import { $, tame } from "../page/text.js";
import { act, ask, button, chosen, rebuild } from "./panel.js";
import { streamsOf } from "./health.js";

const ALL = "";                    // the name of no stream

/* What an operator sees here is what the device says, not what was pressed. */
export function drawPrivacy() {
  const streams = streamsOf(chosen.status).map(([name, each]) => [name, each.state === "privacy"]);
  if (!streams.length) return;
  const rows = [[ALL, streams.every(([, on]) => on)], ...streams];
  rebuild($("privacy"), streams.map(([name]) => name), () => rows.map(([name]) => row(name)));
  rows.forEach(([, on], number) => {
    const [, off, turnOn] = $("privacy").children[number].children;
    off.setAttribute("aria-pressed", String(!on));
    turnOn.setAttribute("aria-pressed", String(on));
  });
}

function row(name) {
  const line = document.createElement("p"), text = document.createElement("span"), who = name || "all streams";
  line.className = "row";
  text.textContent = name || "All streams";
  line.append(text, ...[false, true].map((on) => {
    const made = button(on ? "On" : "Off", false);
    made.setAttribute("aria-label", `Privacy ${on ? "on" : "off"}: ${who}`);
    made.addEventListener("click", () => act("privacy", made, async () => tame((await ask("privacy", { on, stream: name })).text, 200)));
    return made;
  }));
  return line;
}
