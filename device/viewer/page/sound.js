/* Playback of the microphones, and their level. */

import { levels, shown, viewer } from "./state.js";
import { $ } from "./text.js";

let muted = false;
let hearing = null;          // {context, analyser, sources, samples}; one context for the page

export const isMuted = () => muted;

/* Whether the browser refuses sound until the viewer taps. */
export const isBlocked = () => Boolean(viewer.room && shown.microphones.length && !viewer.room.canPlaybackAudio);

/* One audio element for each microphone: the browser mixes them. */
export function showMicrophones(tracks) {
  const heard = tracks.map(({ publication }) => publication.audioTrack).filter(Boolean);
  const same = shown.microphones.length === heard.length
    && shown.microphones.every(({ track }, number) => track === heard[number]);
  if (same) return;
  for (const { track, audio } of shown.microphones) track.detach(audio);
  shown.microphones = heard.map((track) => {
    const audio = document.createElement("audio");
    audio.autoplay = true;
    track.attach(audio);
    audio.muted = muted;
    return { track, audio };
  });
  $("microphones").replaceChildren(...shown.microphones.map(({ audio }) => audio));
  listen(heard);
}

export function mute(silent) {
  muted = silent;
  for (const { audio } of shown.microphones) audio.muted = muted;
}

/* Call it from a click or a key: browsers allow sound from then on. */
export function allowSound() {
  hearing?.context.resume().catch(() => {});
  return viewer.room ? viewer.room.startAudio().catch(() => {}) : Promise.resolve();
}

/* Separate from the playback, so that the level is known while the page is muted. */
function listen(tracks) {
  hearing?.sources.splice(0).forEach((each) => each.disconnect());
  viewer.stats.audio_level = null;
  if (!tracks.length || !window.AudioContext) return;
  if (!hearing) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    hearing = { context, analyser, sources: [], samples: new Float32Array(analyser.fftSize) };
  }
  for (const track of tracks) {
    const source = hearing.context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    source.connect(hearing.analyser);
    hearing.sources.push(source);
  }
  hearing.context.resume().catch(() => {});
}

function soundLevel() {
  if (!shown.microphones.length) return null;
  if (!hearing?.sources.length || hearing.context.state !== "running") return levels.received;
  hearing.analyser.getFloatTimeDomainData(hearing.samples);
  return Math.sqrt(hearing.samples.reduce((sum, each) => sum + each * each, 0) / hearing.samples.length);
}

setInterval(() => {
  const level = soundLevel();
  viewer.stats.audio_level = level;
  const decibels = level ? 20 * Math.log10(level) : -Infinity;
  $("bar").style.transform = `scaleX(${Math.min(1, Math.max(0, (decibels + 60) / 60))})`;
}, 150);
