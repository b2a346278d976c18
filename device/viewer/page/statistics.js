/* What arrives, by the browser's own statistics, once a second. */

import { medianLatency } from "./frames.js";
import { levels, shown, viewer } from "./state.js";

const MAX_STREAMS = 32;
const seen = new Map();      // by inbound stream: the counters at the last poll

const inboundOf = async (track) => {
  const report = await track?.receiver?.getStats();
  return report && [...report.values()].find((each) => each.type === "inbound-rtp");
};
const tracksShown = () =>
  [...shown.cameras.map(({ track }) => track), ...shown.microphones.map(({ track }) => track)];
const sum = (values) => values.reduce((total, each) => total + each, 0);

/* Bytes of all tracks since the start of the session. */
export async function bytesReceived() {
  const streams = await Promise.all(tracksShown().map(inboundOf));
  return sum(streams.map((each) => each?.bytesReceived ?? 0));
}

/* The data since the last poll of one receiver; null at the first poll. */
async function inbound(track) {
  const stream = await inboundOf(track);
  if (!stream) return null;
  const key = `${stream.kind} ${stream.ssrc}`;
  const before = seen.get(key);
  seen.delete(key);
  seen.set(key, { at: stream.timestamp, bytes: stream.bytesReceived ?? 0, frames: stream.framesDecoded ?? 0 });
  if (seen.size > MAX_STREAMS) seen.delete(seen.keys().next().value);
  const past = before && before.frames <= (stream.framesDecoded ?? 0) ? before : { at: null, bytes: 0, frames: 0 };
  const seconds = past.at === null ? 0 : (stream.timestamp - past.at) / 1000;
  const frames = (stream.framesDecoded ?? 0) - past.frames;
  return {
    width: stream.frameWidth ?? 0, height: stream.frameHeight ?? 0, frames,
    fps: seconds > 0 ? frames / seconds : stream.framesPerSecond ?? 0,
    level: stream.kind === "audio" ? stream.audioLevel ?? null : null,
    bitrate: seconds > 0 ? (8 * (stream.bytesReceived - past.bytes)) / seconds : 0,
  };
}

export async function measure() {
  const { cameras, microphones, devices } = shown;
  const tracks = tracksShown();
  const found = await Promise.all(tracks.map(inbound));
  if (shown.cameras !== cameras || shown.microphones !== microphones) return;
  const now = performance.now();
  cameras.forEach((camera, number) => {
    const picture = camera.track === tracks[number] ? found[number] : null;
    // The video element reports each frame at once, but not in every browser, and not in a hidden tab.
    if (picture?.frames > 0 && (camera.lastFrameAt === null || now - camera.lastFrameAt > 1000)) camera.lastFrameAt = now;
    camera.width = picture?.width || camera.video.videoWidth;
    camera.height = picture?.height || camera.video.videoHeight;
    camera.fps = Math.round((picture?.fps ?? 0) * 10) / 10;
    camera.frames += picture?.frames ?? 0;
  });
  const heard = found.map((each) => each?.level ?? null).filter((each) => each !== null);
  levels.received = heard.length ? Math.max(...heard) : null;
  const { width = 0, height = 0, fps = 0 } = cameras[0] ?? {};
  viewer.stats = {
    width, height, fps, bitrate_bps: Math.max(0, Math.round(sum(found.map((each) => each?.bitrate ?? 0)))),
    latency_ms: medianLatency(cameras),
    frames: viewer.stats.frames + sum(found.slice(0, cameras.length).map((each) => each?.frames ?? 0)),
    identity: devices[0]?.identity ?? null, audio_level: viewer.stats.audio_level,
  };
}
