/* The operator's page: one device of the room, called by LiveKit RPC. */

import { $, put, tame } from "../page/text.js";
import { attributesOf, devicesIn, namesOf } from "../page/devices.js";
import { drawCommands } from "./commands.js";
import { configurationChanged, readConfiguration } from "./configuration.js";
import { drawControls } from "./controls.js";
import { drawHealth, readHealth } from "./health.js";
import { readLog, resetLog } from "./log.js";
import { chosen, rebuild } from "./panel.js";
import { drawPicture } from "./picture.js";
import { drawPrivacy } from "./privacy.js";
import { operator, stay } from "./session.js";
import { drawSettings } from "./settings.js";
import { drawSounds } from "./sounds.js";

const POLL_MS = 2000, REFUSED_POLL_MS = 10_000;
const TEXTS = { starting: "Starting", connecting: "Connecting", away: "Not connected", refused: "Refused" };
const TONES = { away: "bad", refused: "bad" };

function changed() {
  const room = operator.room, devices = room ? devicesIn(room).filter((each) => attributesOf(each).length) : [];
  if (!devices.some((each) => each.identity === chosen.identity)) choose(devices[0]?.identity ?? null);
  const names = namesOf(devices);
  rebuild($("devices"), devices.map((each, number) => [each.identity, names[number]]),
    () => devices.map((each, number) => new Option(names[number], each.identity)));
  if (chosen.identity !== null) $("devices").value = chosen.identity;
  $("device-choice").hidden = devices.length < 2;
  const name = names[devices.findIndex((each) => each.identity === chosen.identity)];
  put($("name"), name ?? "Operator");
  document.title = name ? `${name} – operator` : "Operator";
  put($("who"), room ? `You are ${tame(room.localParticipant.identity, 128)} in ${tame(room.name, 64)}` : "");
  const joined = operator.state === "joined";
  $("state").dataset.tone = joined ? (chosen.identity === null ? "wait" : "good") : TONES[operator.state] ?? "wait";
  put($("state"), !joined ? [TEXTS[operator.state], operator.trouble].filter(Boolean).join(": ")
    : chosen.identity === null ? "Waiting for a device" : "Connected");
  $("panels").hidden = chosen.identity === null;
}

function choose(identity) {
  Object.assign(chosen, { identity, status: null, config: null });
  resetLog();
  configurationChanged();
  for (const each of document.querySelectorAll(".result")) put(each, "");
  $("refusal").hidden = true;
  nextAt = 0;
  if (identity !== null) poll();
}

$("devices").addEventListener("change", (event) => { choose(event.target.value); changed(); });

let polling = null, nextAt = 0;

/* Asks for everything that is shown. One round at a time. */
function poll() {
  if (!polling && performance.now() >= nextAt) polling = round().catch((error) => console.warn("operator:", error)).finally(() => { polling = null; });
}

async function round() {
  const identity = chosen.identity;
  if (!operator.room || identity === null || document.hidden) return;
  const refused = [await readHealth(), await readConfiguration()].filter(Boolean);
  if (identity !== chosen.identity) return;
  const forbidden = refused.find((each) => each.forbidden);
  // Each refusal is a line in the device's log.
  nextAt = forbidden ? performance.now() + REFUSED_POLL_MS : 0;
  put($("refusal"), forbidden?.message ?? "");
  $("refusal").hidden = !forbidden;
  drawHealth();
  drawPicture();
  drawPrivacy();
  drawSettings();
  drawControls();
  drawCommands(chosen.config !== null);
  drawSounds(chosen.config !== null);
  await readLog();
}

setInterval(poll, POLL_MS);
document.addEventListener("visibilitychange", poll);
stay(changed);
