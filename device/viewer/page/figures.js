/* Draws the figures below the picture, and what the devices say of themselves. */

import { attributesOf, nameOf } from "./devices.js";
import { isFresh } from "./frames.js";
import { shown, viewer } from "./state.js";
import { $, MAX_NAME, MAX_VALUE, make, put, tame } from "./text.js";

const MAX_ATTRIBUTES = 24;
const FIRST = ["device.state", "device.version", "device.model"];

export function drawFigures(room) {
  const { devices, cameras, microphones } = shown;
  const stats = viewer.stats, live = cameras.some(({ track }) => track) && stats.frames > 0;
  const many = cameras.length > 1;
  $("facts").hidden = !devices.length;
  if (!devices.length) return;
  put($("picture"), many ? "Cameras" : "Picture");
  put($("size"), many ? `${cameras.filter(isFresh).length} of ${cameras.length}`
    : live && stats.width ? `${stats.width} × ${stats.height}` : "–");
  $("fps-cell").hidden = many;
  put($("fps"), live ? `${Math.round(stats.fps)} fps` : "–");
  put($("bitrate"), stats.bitrate_bps >= 1e6 ? `${(stats.bitrate_bps / 1e6).toFixed(1)} Mbit/s`
    : stats.bitrate_bps > 0 ? `${Math.round(stats.bitrate_bps / 1000)} kbit/s` : "–");
  $("latency-cell").hidden = stats.latency_ms === null;
  put($("latency"), `${stats.latency_ms} ms`);
  drawQuality(devices.map((each) => each.connectionQuality), room.localParticipant.connectionQuality);
  $("sound-cell").hidden = !microphones.length;
  put($("level"), stats.audio_level === null ? "–" : stats.audio_level < 0.001 ? "Silent" : `${Math.round(20 * Math.log10(stats.audio_level))} dB`);
  drawAttributes(devices.length === 1 ? allOf(devices[0]) : statesOf(devices));
}

/* The end of the connection with the worse quality, and that quality. */
const QUALITIES = ["lost", "poor", "good", "excellent"];
function drawQuality(devices, own) {
  const rank = (quality) => QUALITIES.indexOf(quality);
  const theirs = Math.min(...devices.map(rank)), ours = rank(own);
  const known = [theirs, ours].filter((each) => each >= 0);
  const worst = QUALITIES[Math.min(...known)] ?? "";
  const whose = theirs < 0 || ours < 0 || theirs === ours ? "" : theirs < ours ? " (device)" : " (yours)";
  put($("quality"), worst ? worst[0].toUpperCase() + worst.slice(1) + (worst === "excellent" ? "" : whose) : "–");
  $("quality").dataset.tone = { poor: "warn", lost: "bad" }[worst] ?? "";
}

/* Pairs of a name and a text. */
function allOf(device) {
  const place = (key) => (FIRST.includes(key) ? FIRST.indexOf(key) : FIRST.length);
  return attributesOf(device)
    .sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
    .slice(0, MAX_ATTRIBUTES)
    .map(([key, value]) => [tame(key.slice("device.".length), MAX_NAME), tame(value, MAX_VALUE)])
    .map(([name, value]) => [name.charAt(0).toUpperCase() + name.slice(1).replace(/_/g, " "), value]);
}

function statesOf(devices) {
  return devices.slice(0, MAX_ATTRIBUTES)
    .map((each) => [nameOf(each), tame(each.attributes?.["device.state"], MAX_VALUE)]);
}

function drawAttributes(lines) {
  const list = $("attributes"), key = JSON.stringify(lines);
  list.hidden = lines.length === 0;
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...lines.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value || "–"))));
}
