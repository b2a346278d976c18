/* Draws the page's state: title, notice, tiles and controls. */

import { canDecode } from "./codec.js";
import { camerasOf, nameOf, namesOf } from "./devices.js";
import { drawFigures } from "./figures.js";
import { frameAge, isFresh, FROZEN_AFTER_MS } from "./frames.js";
import { isBlocked, isMuted } from "./sound.js";
import { codecs, shown, viewer, way } from "./state.js";
import { $, MAX_NAME, put, tame } from "./text.js";
import { drawTile, isPaused } from "./tiles.js";

const IS_FIREFOX = /firefox/i.test(navigator.userAgent);

/* `devices` are all that are in the room, `chosen` is the identity of the picked one. */
export function draw(room, devices, chosen) {
  const face = describe(room);
  viewer.state = face.state;
  const roomName = room ? tame(room.name, MAX_NAME) : "";
  const name = title();
  const identity = shown.devices.length === 1 ? tame(shown.devices[0].identity, MAX_NAME) : roomName;
  put($("name"), name);
  put($("identity"), identity === name ? roomName : identity);
  const page = shown.devices.length ? `${name} – ${face.short}` : face.short;
  if (document.title !== page) document.title = page;
  put($("pill"), face.short);
  $("pill").dataset.tone = $("card").dataset.tone = face.tone;
  $("notice").hidden = face.state === "live";
  $("spin").hidden = face.tone === "bad" || face.state === "paused" || face.state === "no-codec";
  drawTiles();
  put($("words"), face.words);
  put($("more"), face.more ?? "");
  $("more").hidden = !face.more;
  $("play").hidden = face.state !== "paused";
  // Without the seconds, which a screen reader should not read; with what more there is to know.
  put($("spoken"), face.spoken ?? [face.words, face.more].filter(Boolean).join(". "));
  drawControls(devices, chosen);
  drawFigures(room);
}

function title() {
  if (!shown.devices.length) return "Viewer";
  return shown.devices.length === 1 ? nameOf(shown.devices[0]) : `${shown.devices.length} devices`;
}

/* ---- the state, and a text about what the page waits for ---- */

function describe(room) {
  const wait = { tone: "wait", more: way.trouble };
  if (way.refused) return { state: "refused", tone: "bad", short: "No access", words: "This page has no access", more: way.refused };
  if (way.phase === "service") return { ...wait, state: "starting", short: "Waiting", words: "Waiting for the viewer service" };
  const connecting = { ...wait, state: "connecting", short: "Connecting", words: `Connecting to ${way.where}…` };
  if (!room) return connecting;
  const picture = describePicture();
  if (picture) return picture;
  if (room.state !== "connected") return { ...connecting, words: `Connection lost. Connecting to ${way.where}…` };
  return describeWait(room, wait);
}

/* If there is a picture, or if it is the browser that shows none. */
function describePicture() {
  const all = shown.cameras.length, fresh = shown.cameras.filter(isFresh).length, name = title();
  const publications = shown.devices.flatMap(camerasOf);
  if (publications.length && !publications.some(canDecode)) {
    const more = `${IS_FIREFOX ? "Firefox fetches its decoder, OpenH264, by itself within minutes of its first start. " : ""}`
      + `Another browser shows the picture.${shown.microphones.length ? " Sound plays." : ""}`;
    return { state: "no-codec", tone: "warn", short: "No picture", more,
      words: "This browser cannot decode the picture: it has no H.264" };
  }
  const attached = shown.cameras.filter(({ track }) => track);
  if (attached.length && attached.map(isPaused).every(Boolean)) {
    return { state: "paused", tone: "warn", short: "Tap to play", words: "The picture is paused",
      more: "This browser plays it when you press Play." };
  }
  if (!fresh) return null;
  const some = fresh < all ? ` (${fresh} of ${all} cameras)` : "";
  return { state: "live", tone: some ? "warn" : "good", short: "Live", words: `${name} ${shown.devices.length > 1 ? "are" : "is"} live${some}` };
}

function describeWait(room, wait) {
  if (!shown.devices.length) return { ...wait, more: "", state: "waiting-device", short: "Waiting", words: `Waiting for a device to join ${tame(room.name, MAX_NAME)}` };
  const name = title(), [is, has] = shown.devices.length > 1 ? ["are", "have"] : ["is", "has"];
  const cameras = shown.devices.flatMap(camerasOf), many = cameras.length > 1;
  const ages = shown.cameras.map(frameAge).filter((each) => each !== null);
  const more = cameras.length ? "" : "There is no camera so far.";
  if (cameras.length && cameras.every((each) => each.isMuted)) return { state: "waiting-picture", tone: "warn", short: "Camera off", words: `${name} ${has} switched the camera${many ? "s" : ""} off` };
  if (!ages.length) return { ...wait, more, state: "waiting-picture", short: "Waiting", words: `${name} ${is} here, waiting for a picture` };
  return { state: "frozen", tone: "warn", short: "Frozen", spoken: "The picture is frozen",
    words: `Picture frozen for ${Math.floor(Math.min(...ages) / 1000)} s`, more: `${name} ${is} in the room, but no new frame arrives.` };
}

/* ---- tiles and controls ---- */

/* Captions, which a single camera does not need, and which camera has no new picture while others do. */
function drawTiles() {
  const isOnly = shown.cameras.length < 2;
  viewer.cameras = shown.cameras.map((each) => {
    const age = frameAge(each), stale = age !== null && age > FROZEN_AFTER_MS;
    drawTile(each, { name: tileName(each), stale, figures: tileFigures(each, age, stale) }, isOnly);
    return { name: each.name, device: each.device, width: each.width, height: each.height, fps: each.fps,
      frames: each.frames, live: isFresh(each), paused: isPaused(each), caption: each.caption.textContent };
  });
}

function tileName({ name, device }) {
  if (shown.devices.length < 2) return name;
  const names = namesOf(shown.devices), number = shown.devices.findIndex(({ identity }) => identity === device);
  const alone = shown.cameras.filter((each) => each.device === device).length === 1 && name === "camera";
  return alone ? names[number] : `${names[number]}: ${name}`;
}

function tileFigures(camera, age, stale) {
  if (codecs.undecodable.has(camera.sid) || !codecs.h264 && !camera.track) return "no H.264 in this browser";
  if (isPaused(camera)) return "paused";
  if (age === null) return "no picture yet";
  if (stale) return `no new picture for ${Math.floor(age / 1000)} s`;
  return camera.width ? `${camera.width} × ${camera.height}, ${Math.round(camera.fps)} fps` : "";
}

function drawControls(devices, chosen) {
  const select = $("devices"), names = namesOf(devices);
  const wanted = [["", `All devices (${devices.length})`], ...devices.map((each, number) => [each.identity, names[number]])];
  const key = JSON.stringify(wanted);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...wanted.map(([identity, name]) => new Option(name, identity)));
  }
  const value = devices.some(({ identity }) => identity === chosen) ? chosen : "";
  if (select.value !== value) select.value = value;
  select.hidden = devices.length < 2;
  const blocked = isBlocked(), silent = isMuted() || blocked;
  $("sound").hidden = !shown.microphones.length;
  $("controls").hidden = select.hidden && $("sound").hidden;
  $("sound").classList.toggle("call", blocked);
  put($("sound-text"), blocked ? "Turn on sound" : isMuted() ? "Unmute" : "Mute");
  $("waves").style.display = silent ? "none" : "";
  $("cross").style.display = silent ? "" : "none";
}
