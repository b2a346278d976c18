/* How the device and its streams are. */

import { $, put, tame } from "../page/text.js";
import { act, ask, button, chosen, rebuild, result } from "./panel.js";

const MAX_STREAMS = 8, MAX_VALUE = 200;

const listOf = (value) => (value && typeof value === "object" ? Object.entries(value).slice(0, MAX_STREAMS) : []);
export const streamsOf = (status) => listOf(status?.streams).map(([name, each]) => [tame(name, 32), each ?? {}]);
export const camerasOf = (status) => streamsOf(status).filter(([, each]) => each.kind === "camera").map(([name]) => name);

export function drawHealth() {
  const status = chosen.status;
  if (!status) return;
  const { room = {}, board = {} } = status;
  const lines = [
    ["State", status.state], ["Room", withReason(room.state, room.reason)], ["Last left", room.last_disconnect],
    ["Identity", status.identity], ["Version", status.version], ["Model", status.model],
    ["Running for", duration(Number(status.uptime_s) || 0)],
    ["Clock", Math.abs(status.clock_offset_s) >= 1 ? `${status.clock_offset_s} s from the server’s` : ""],
    ["Temperature", board.temperature_celsius == null ? "" : `${board.temperature_celsius} °C`],
    ["Throttled", Array.isArray(board.throttled) ? board.throttled.join(", ") : ""],
    ["Speaker", speaker(status.speaker)], ["Configuration", status.configuration],
  ].filter(([, text]) => text !== "" && text != null);
  rebuild($("health"), lines, () => lines.map(([name, text]) => {
    const line = document.createElement("div"), title = document.createElement("dt"), value = document.createElement("dd");
    title.textContent = name;
    value.textContent = tame(text, MAX_VALUE);
    line.append(title, value);
    return line;
  }));
  const streams = streamsOf(status);
  const body = $("streams").tBodies[0];
  rebuild(body, streams.map(([name, each]) => [name, each.kind]), () => streams.map(([name, each]) => row(name, each.kind)));
  streams.forEach(([, each], number) => {
    const published = each.publication && each.publication !== "published" ? `, ${tame(each.publication, MAX_VALUE)}` : "";
    const texts = [
      withReason(each.state, each.reason) + published,
      each.width ? `${Number(each.width)} × ${Number(each.height)}, ${Math.round(each.fps)} fps` : "–",
      each.bitrate_bps ? rate(Number(each.bitrate_bps)) : "–",
      String(Number(each.dropped) || 0),
    ];
    texts.forEach((text, column) => put(body.rows[number].cells[column + 1], text));
  });
}

function row(name, kind) {
  const line = document.createElement("tr"), head = document.createElement("th"), tools = document.createElement("div");
  head.scope = "row";
  head.textContent = name;
  tools.className = "row";
  tools.append(order("Restart", "restart", name));
  if (kind === "camera") tools.append(order("Key frame", "key_frame", name));
  line.append(head, ...Array.from({ length: 5 }, () => document.createElement("td")));
  line.cells[5].append(tools);
  return line;
}

function order(text, operation, stream) {
  const made = button(text);
  made.setAttribute("aria-label", `${text}: ${stream}`);
  made.addEventListener("click", () => act("health", made, async () => tame((await ask(operation, { stream })).text, MAX_VALUE)));
  return made;
}

$("rejoin").addEventListener("click", () => act("health", $("rejoin"), async () => tame((await ask("rejoin")).text, MAX_VALUE)));

/* Asks for the status. Returns the refusal, if it is one. */
export async function readHealth() {
  try {
    chosen.status = await ask("status");
    if ($("health-result").dataset.tone === "bad") result("health", "");
    return null;
  } catch (error) {
    chosen.status = null;
    result("health", error.message, "bad");
    return error;
  }
}

/* How the speaker is, if it is on, and who is talking. */
function speaker(found) {
  if (!found) return "";
  const talkers = Array.isArray(found.talkers) && found.talkers.length ? `, ${found.talkers.join(", ")} talking` : "";
  return withReason(found.state, found.reason) + talkers;
}

const withReason = (state, reason) => tame(reason ? `${state}: ${reason}` : state, MAX_VALUE);
const rate = (bps) => (bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`);

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = Math.max(0, units.findIndex(([, size]) => seconds >= size));
  const parts = units.slice(first, first + 2).map(([name, size], number, two) => {
    const count = Math.floor((number ? seconds % two[0][1] : seconds) / size);
    return `${count} ${name}`;
  });
  return seconds < 1 ? "0 s" : parts.join(" ");
}
