/* When the frames of each picture arrive, and how old they are. */

import { viewer } from "./state.js";

export const FROZEN_AFTER_MS = 2000;
const LATENCY_WINDOW_MS = 2000;

/* Of each camera: `lastFrameAt` is performance.now() of its latest new frame, `latencies` are [performance.now(), ms] of
   the last seconds. */
export const frameAge = ({ lastFrameAt }) => (lastFrameAt === null ? null : performance.now() - lastFrameAt);
export const isFresh = (camera) => camera.lastFrameAt !== null && frameAge(camera) <= FROZEN_AFTER_MS;

let onFirst = () => {};
export function onFirstFrame(listener) { onFirst = listener; }

export function watchFrames(camera) {
  const { track, video, latencies } = camera;
  if (!track || !video.requestVideoFrameCallback) return;
  const look = (now, frame) => {
    if (camera.track !== track) return;
    const first = camera.lastFrameAt === null;
    camera.lastFrameAt = performance.now();
    const stamp = frame.rtpTimestamp === undefined ? undefined
      : track.lookupFrameMetadata({ rtpTimestamp: frame.rtpTimestamp })?.userTimestamp;
    if (stamp) {
      const toDisplay = Math.max(0, frame.expectedDisplayTime - camera.lastFrameAt);
      latencies.push([camera.lastFrameAt, Date.now() + toDisplay - Number(stamp) / 1000]);
      while (camera.lastFrameAt - latencies[0][0] > LATENCY_WINDOW_MS) latencies.shift();
    }
    if (first || viewer.state !== "live") onFirst();
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}

/* The slowest camera's median. */
export function medianLatency(cameras) {
  const now = performance.now();
  const medians = cameras.map(({ latencies }) => {
    const sorted = latencies.filter(([at]) => now - at <= LATENCY_WINDOW_MS).map(([, ms]) => ms).sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : -1;
  });
  const most = Math.max(-1, ...medians);
  return most >= 0 ? Math.round(most) : null;  // negative: the clocks are not synchronised
}
