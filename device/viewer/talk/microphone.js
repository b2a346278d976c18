/* The microphone: asked for at the first hold, published, muted between holds, and given back after a while. */

import { viewer } from "../page/state.js";
import { obstacle, refusal } from "./words.js";

const UNUSED_MS = 60_000;    // the microphone is given back after that long without a hold
const ASKED_MS = 1000;       // a person who is asked for permission has let go of the button by then
const TRACK = "talk";        // the track's name

/* state: "closed", "opening", "muted" or "open". trouble: why it could not be opened. openedAt: performance.now() since
   when the voice is sent. */
export const microphone = { state: "closed", trouble: "", track: null, openedAt: null };

let wanted = false, kept = false;
let room = null;             // where it is published
let usedAt = 0, working = false;

/* Sends the voice, or not. `keep` is for a talk that needs no hold: it also begins after a question for permission. */
export function talk(on, { keep = false } = {}) {
  wanted = on;
  kept = on && keep;
  if (on) microphone.trouble = obstacle();
  usedAt = performance.now();
  // At once, also while a publication is under way.
  if (microphone.track && (!on || !microphone.track.isMuted)) microphone.track.mediaStreamTrack.enabled = on;
  settle();
}

/* Ends the publication, and the use of the microphone. */
export function giveBack() {
  wanted = kept = false;
  usedAt = -Infinity;
  settle();
}

/* Makes what is there into what is wanted; one step after the other. */
export async function settle() {
  if (working) return;
  working = true;
  try {
    while (await step());
  } catch (error) {
    console.warn("viewer: microphone:", error?.name, error?.message);
    microphone.trouble = refusal(error);
    wanted = false;
    await close();
  } finally {
    working = false;
    microphone.state = !microphone.track ? "closed" : microphone.track.isMuted ? "muted" : "open";
    if (microphone.state !== "open") microphone.openedAt = null;
    else microphone.openedAt = microphone.openedAt ?? performance.now();
  }
}

/* Returns whether there may be more to do. */
async function step() {
  const { track } = microphone;
  const unused = !wanted && performance.now() - usedAt > UNUSED_MS;
  if (document.hidden || microphone.trouble || !viewer.room) wanted = false;
  if (track && (unused || document.hidden || room !== viewer.room)) {
    await close();
    return true;
  }
  if (track && track.mediaStreamTrack.readyState === "ended") {
    microphone.trouble = refusal({ name: "NotFoundError" });
    await close();
    return true;
  }
  if (!track && wanted) {
    await open();
    return true;
  }
  if (!track || track.isMuted !== wanted) return false;
  if (wanted) await track.unmute();
  else await track.mute();
  return true;
}

async function open() {
  microphone.state = "opening";
  const askedAt = performance.now();
  const track = await LivekitClient.createLocalAudioTrack({
    echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1,
  });
  microphone.track = track;
  usedAt = performance.now();
  if (usedAt - askedAt > ASKED_MS && !kept) wanted = false;
  room = viewer.room;
  if (!room || document.hidden) return;  // the next step closes it
  if (!wanted) await track.mute();
  const { Track, AudioPresets } = LivekitClient;
  await room.localParticipant.publishTrack(track, { source: Track.Source.Microphone, name: TRACK,
    audioPreset: AudioPresets.speech, stopMicTrackOnMute: false });
}

/* The browser no longer shows that the page uses the microphone. */
async function close() {
  const { track } = microphone, from = room;
  microphone.track = room = null;
  track?.stop();
  if (track && from?.state === "connected") await from.localParticipant.unpublishTrack(track, true).catch(() => {});
}

document.addEventListener("visibilitychange", () => { if (document.hidden) giveBack(); });
