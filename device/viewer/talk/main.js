/* Talking to the devices of the room, from the viewer's page. The service adds this with `viewer --talk`. */

import { viewer } from "../page/state.js";
import { make, put } from "../page/text.js";
import { isHeld, isKept, release, watchHolds } from "./hold.js";
import { levelOf } from "./level.js";
import { giveBack, microphone, settle, talk } from "./microphone.js";
import { speakersIn } from "./speakers.js";
import { obstacle, speakerWords } from "./words.js";

const DRAW_MS = 150;
const TONES = { hears: "good", busy: "warn", deaf: "warn", paused: "warn", out: "bad" };

const button = make("button", "hold", "Hold to talk"), keep = make("button", "keep", "Keep on");
const bar = make("i"), meter = make("div", "meter", bar), words = make("p"), list = make("ul");
button.type = keep.type = "button";
button.id = "talk";
keep.id = "talk-keep";
button.setAttribute("aria-describedby", "talk-words");
keep.title = "Talk without holding a button";
meter.setAttribute("aria-hidden", "true");
words.id = "talk-words";
const status = make("div", "words", words, list);
status.setAttribute("role", "status");
const section = make("section", "talk", button, keep, meter, status);
section.setAttribute("aria-label", "Talk");

const style = make("link");
style.rel = "stylesheet";
style.href = "talk/style.css";
document.head.append(style);
document.getElementById("facts").before(section);

/* For tests and for the browser's console. */
const state = viewer.talk = { microphone, speakers: [], level: null, words: "" };

function canTalk() {
  return !obstacle() && state.speakers.some((each) => each.state !== "out");
}

function changed() {
  if (isHeld() && !canTalk()) release();
  else talk(isHeld(), { keep: isKept() });
  draw();
}

function describe(silent) {
  if (obstacle()) return obstacle();
  if (!viewer.room) return "Not connected.";
  if (!state.speakers.length) return "No device in the room has a speaker that is switched on.";
  if (microphone.trouble) return microphone.trouble;
  if (microphone.state === "opening") return "Opening the microphone. Your browser may ask you to allow it.";
  if (microphone.state === "open") return silent ? "No sound comes from your microphone. Is it muted?" : "The microphone is open.";
  const ready = microphone.state === "muted" ? "The microphone is ready. " : "";
  return `${ready}Hold the button or the space bar, and talk.`;
}

function draw() {
  const now = performance.now(), isOpen = microphone.state === "open";
  state.speakers = viewer.room ? speakersIn(viewer.room, isOpen ? now - microphone.openedAt : null) : [];
  const { rms, silent } = levelOf(isOpen ? microphone.track.mediaStreamTrack : null);
  state.level = rms;
  const decibels = rms ? 20 * Math.log10(rms) : -Infinity;
  bar.style.transform = `scaleX(${Math.min(1, Math.max(0, (decibels + 60) / 60))})`;
  state.words = describe(silent);
  put(words, state.words);
  const heard = isOpen && state.speakers.some((each) => each.state === "hears");
  section.dataset.state = heard ? "heard" : microphone.state;
  put(button, !isOpen ? "Hold to talk" : heard ? "Talking" : "Talk");
  button.setAttribute("aria-pressed", String(isOpen));
  keep.setAttribute("aria-pressed", String(isKept()));
  for (const each of [button, keep]) each.setAttribute("aria-disabled", String(!canTalk()));
  drawSpeakers();
}

function drawSpeakers() {
  const lines = state.speakers.map((each) => [TONES[each.state] ?? "", speakerWords(each)]), key = JSON.stringify(lines);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...lines.map(([tone, text]) => {
    const line = make("li", "", text);
    line.dataset.tone = tone;
    return line;
  }));
}

watchHolds(button, keep, changed);
setInterval(async () => {
  if (isHeld() && (microphone.trouble || !canTalk())) release();
  if (microphone.track && !state.speakers.length) giveBack();
  await settle();
  draw();
}, DRAW_MS);
