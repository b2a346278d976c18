/* One tile for each camera: its picture, caption and buttons. */

import { watchFrames } from "./frames.js";
import { shown } from "./state.js";
import { $, MAX_NAME, iconButton, label, make, put, tame } from "./text.js";

const FULL = "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5";
const SMALL = "M3 5h18v14H3zM12 12h7v5h-7z";
const TRIANGLE = "M7 5v14l12-7z";
const PAUSED_AFTER_MS = 1500;  // a video that the browser itself starts is paused for a moment

/* `tracks` is [{device, publication}]. Tiles that stay are not moved: a browser pauses a video that is. */
export function showTiles(tracks) {
  const sids = tracks.map(({ publication }) => publication.trackSid).join();
  if (shown.cameras.map(({ sid }) => sid).join() !== sids) arrange(tracks);
  shown.cameras.forEach((each, number) => attach(each, tracks[number].publication.videoTrack ?? null));
}

function arrange(tracks) {
  const before = new Map(shown.cameras.map((each) => [each.sid, each]));
  shown.cameras = tracks.map((each) => before.get(each.publication.trackSid) ?? tile(each));
  for (const each of before.values()) {
    if (shown.cameras.includes(each)) continue;
    attach(each, null);
    each.figure.remove();
  }
  const grid = $("cameras");
  shown.cameras.forEach((each, place) => {
    if (grid.children[place] === each.figure) return;
    grid.insertBefore(each.figure, grid.children[place] ?? null);
    if (each.track) start(each);
  });
  grid.style.setProperty("--columns", Math.ceil(Math.sqrt(tracks.length)) || 1);
  document.body.classList.toggle("many", tracks.length > 1);
}

function tile({ device, publication }) {
  const made = { sid: publication.trackSid, name: tame(publication.trackName, MAX_NAME) || "camera",
    device: device.identity, track: null, lastFrameAt: null, latencies: [], width: 0, height: 0, fps: 0, frames: 0,
    pausedAt: null, refused: false, video: document.createElement("video"),
    figures: make("span", "figures"), words: document.createTextNode(""),
    play: iconButton(TRIANGLE), full: iconButton(FULL), small: iconButton(SMALL) };
  const { video } = made;
  Object.assign(video, { autoplay: true, muted: true, playsInline: true });
  video.addEventListener("playing", () => { made.refused = false; });
  made.caption = make("figcaption", "", made.words, made.figures);
  made.play.hidden = true;
  made.play.addEventListener("click", () => start(made));
  made.full.addEventListener("click", () => toggleFull(made).catch(() => {}));
  made.full.hidden = !(document.fullscreenEnabled || document.webkitFullscreenEnabled || video.webkitEnterFullscreen);
  made.small.addEventListener("click", () => toggleSmall(made).catch(() => {}));
  made.small.hidden = !document.pictureInPictureEnabled;
  made.figure = make("figure", "", video, made.caption, make("div", "tools", made.play, made.small, made.full));
  return made;
}

/* ---- playing ---- */

function attach(camera, track) {
  if (camera.track === track) return;
  camera.track?.detach(camera.video);
  camera.track = track;
  camera.lastFrameAt = null;
  camera.latencies.length = 0;
  camera.refused = false;
  if (track) {
    track.attach(camera.video);
    start(camera);
  } else {
    camera.video.srcObject = null;
  }
  watchFrames(camera);
}

/* Plays the picture. A browser may refuse that, for example a phone that saves power, until the viewer taps. */
export function start(camera) {
  camera.pausedAt = null;
  camera.video.play().catch((error) => { camera.refused = error?.name === "NotAllowedError" && camera.video.paused; });
}

/* Whether the browser does not play a picture that is there. */
export function isPaused(camera) {
  if (!camera.track || !camera.video.paused) {
    camera.pausedAt = null;
    return false;
  }
  camera.pausedAt = camera.pausedAt ?? performance.now();
  return camera.refused || performance.now() - camera.pausedAt > PAUSED_AFTER_MS;
}

/* ---- full screen, picture in picture ---- */

async function toggleFull({ figure, video }) {
  if (document.fullscreenElement || document.webkitFullscreenElement) {
    await (document.exitFullscreen ?? document.webkitExitFullscreen).call(document);
  } else if (figure.requestFullscreen) {
    await figure.requestFullscreen();
  } else if (figure.webkitRequestFullscreen) {
    figure.webkitRequestFullscreen();  // Safari before 16.4
  } else {
    video.webkitEnterFullscreen();     // iPhone
  }
}

async function toggleSmall({ video }) {
  if (document.pictureInPictureElement === video) await document.exitPictureInPicture();
  else await video.requestPictureInPicture();
}

/* ---- captions and labels ---- */

/* `facts` is {name, figures, stale} of each tile; a single camera needs no caption. */
export function drawTile(camera, { name, figures, stale }, isOnly) {
  const { figure, video, caption, play, full, small } = camera;
  const paused = isPaused(camera);
  const isFull = (document.fullscreenElement ?? document.webkitFullscreenElement) === figure;
  figure.classList.toggle("stale", stale);
  caption.hidden = isOnly;
  put(camera.figures, figures);
  const before = `${name} `;
  if (camera.words.data !== before) camera.words.data = before;
  play.hidden = !paused || isOnly;
  const text = `Picture of ${name}`;
  if (video.getAttribute("aria-label") !== text) video.setAttribute("aria-label", text);
  label(play, `Play ${name}`);
  label(full, isFull ? "Leave full screen" : `Full screen: ${name}`);
  label(small, document.pictureInPictureElement === video ? "Leave picture in picture" : `Picture in picture: ${name}`);
}
