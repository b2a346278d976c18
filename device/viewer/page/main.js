/* The page: joins again and again, and shows what is in the room. */

import "./old.js";
import { Refused, ServiceAway, fetchPass, loadClient } from "./access.js";
import { canDecode, lookForH264 } from "./codec.js";
import { choose, devicesIn, tracksOf } from "./devices.js";
import { draw } from "./display.js";
import { onFirstFrame } from "./frames.js";
import { visit } from "./session.js";
import { allowSound, isBlocked, isMuted, mute, showMicrophones } from "./sound.js";
import { codecs, noStats, shown, viewer, way } from "./state.js";
import { measure } from "./statistics.js";
import { $, MAX_NAME, MAX_VALUE, tame } from "./text.js";
import { showTiles, start } from "./tiles.js";
import { pause } from "./wake.js";

const BACKOFF_MIN_MS = 500, BACKOFF_MAX_MS = 5000;
const STABLE_MS = 10_000;    // a session that lasted this long resets the backoff
const CODEC_EVERY_MS = 30_000;

/* ---- joining, again and again ---- */

async function run() {
  let failures = 0;
  for (;;) {
    let lasted_ms = 0, woke = false;
    try {
      way.refused = "";
      await loadClient();
      const pass = await fetchPass();
      await lookForH264();
      ({ lasted_ms, woke } = await visitAny(pass));
      way.trouble = "";
    } catch (error) {
      way.trouble = tame(error?.message ?? error, 2 * MAX_VALUE);
      console.warn("viewer:", way.trouble);
      if (error instanceof ServiceAway) way.phase = "service";
      if (error instanceof Refused) {
        way.refused = way.trouble;
        refresh();
        await new Promise((done) => addEventListener("hashchange", done, { once: true }));
        failures = 0;
        continue;
      }
    }
    refresh();
    failures = lasted_ms >= STABLE_MS ? 1 : failures + 1;
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (failures - 1));
    if (woke || await pause(BACKOFF_MIN_MS + Math.random() * (ceiling - BACKOFF_MIN_MS))) failures = 0;
  }
}

/* Tries the room's URLs until one can be joined. */
async function visitAny({ token, urls, rewritten }) {
  let last = null;
  for (const url of urls) {
    way.phase = "room";
    way.where = tame(new URL(url).host, MAX_NAME);
    refresh();
    try {
      return await visit({ url, token }, refresh);
    } catch (error) {
      const why = !rewritten.includes(url) ? "" : ` The configuration has an address of the device itself, so this page`
        + ` tries ${way.where}: the server must listen there too, or room.url must have an address for all.`;
      last = new Error(`${tame(error?.message ?? error, MAX_VALUE)}${why}`);
      way.trouble = last.message;
    } finally {
      show([]);
    }
  }
  throw last;
}

/* ---- what is shown ---- */

let chosen = "";             // identity picked by hand; empty: all devices

/* Updates the page from the room; called at each event, and by a timer. */
function refresh() {
  const room = viewer.room;
  const devices = room ? devicesIn(room) : [];
  if (room) {
    const wanted = choose(devices, chosen);
    subscribe(room, tracksOf(wanted));
    show(wanted);
  }
  draw(room, devices, chosen);
}

/* Receives only what is shown. */
function subscribe(room, { cameras, microphones }) {
  const pictures = new Set(cameras.map(({ publication }) => publication).filter(canDecode));
  const sounds = new Set(microphones.map(({ publication }) => publication));
  for (const person of room.remoteParticipants.values()) {
    for (const each of person.trackPublications.values()) {
      const wanted = pictures.has(each) || sounds.has(each);
      if (each.isDesired === wanted) continue;
      each.setSubscribed(wanted);
      if (pictures.has(each)) each.setEnabled(false);
    }
  }
  // Frames that arrive before the worker is ready are lost; a lost key frame costs 2.5 s of picture. So the server
  // sends nothing until the track is attached, and then requests a key frame of the device.
  for (const each of pictures) if (each.videoTrack && !each.isEnabled) each.setEnabled(true);
}

function show(devices) {
  const { cameras, microphones } = tracksOf(devices);
  const identity = devices[0]?.identity ?? null;
  if (viewer.stats.identity !== identity) viewer.stats = { ...noStats(), frames: viewer.stats.frames, identity };
  shown.devices = devices;
  showTiles(cameras);
  showMicrophones(microphones);
}

/* ---- what the viewer does ---- */

$("devices").addEventListener("change", (event) => { chosen = event.target.value; refresh(); });

$("sound").addEventListener("click", () => {
  mute(isBlocked() ? false : !isMuted());
  if (!isMuted()) allowSound().then(refresh);
  refresh();
});

$("play").addEventListener("click", () => {
  shown.cameras.forEach(start);
  if (!isMuted()) allowSound().then(refresh);
  refresh();
});

onFirstFrame(refresh);
setInterval(() => { measure().catch(() => {}); }, 1000);
setInterval(refresh, 500);
// A decoder that the browser has fetched meanwhile is of use after the next join.
setInterval(async () => {
  if (codecs.h264 || !viewer.room) return;
  await lookForH264();
  if (codecs.h264) viewer.rejoin();
}, CODEC_EVERY_MS);

run();
