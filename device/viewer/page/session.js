/* One session in the room: join, wait for its end, leave. */

import { codecs, viewer, way } from "./state.js";
import { bytesReceived } from "./statistics.js";
import { onWake } from "./wake.js";

const WORKER = "vendor/livekit-client.fm.worker.js";
const JOIN_TIMEOUT_MS = 20_000;
const RECONNECT_TIMEOUT_MS = 15_000;  // time for the client's own reconnection, before the page joins again
const SILENT_MS = 1500;      // after waking up: a connection without any data for that long is over
const WOKEN = "This computer slept.";
const QUIET = new Set(["activeSpeakersChanged", "dataReceived", "transcriptionReceived", "metricsReceived"]);

/* Joins once, calls `changed` at each change, and waits for the end. Returns {lasted_ms, woke}: how long the session
   lasted, and whether it ended because the computer slept. Throws if the room cannot be joined. */
export async function visit({ url, token }, changed) {
  const { Room, RoomEvent } = LivekitClient;
  LivekitClient.setLogLevel("warn");
  const worker = metadataWorker();
  const room = new Room({
    frameMetadata: worker && { worker },
    // The client recovers from short interruptions; after longer ones this page joins again with a fresh token.
    reconnectPolicy: { nextRetryDelayInMs: ({ retryCount }) => (retryCount < 3 ? 300 * (retryCount + 1) : null) },
  });
  let end;
  const ended = new Promise((done) => { end = done; });
  const timers = [];
  let joinedAt = null;       // performance.now() of it
  for (const event of Object.values(RoomEvent)) {
    if (!QUIET.has(event)) room.on(event, () => { if (viewer.room === room) changed(); });
  }
  room.on(RoomEvent.TrackSubscribed, (track) => { if (worker) letThrough(track); });
  room.on(RoomEvent.Disconnected, (reason) => { if (joinedAt !== null) end(reasonWords(reason)); });
  room.on(RoomEvent.TrackSubscriptionFailed, (sid, _person, error) => {
    if (error === CODEC_UNSUPPORTED) codecs.undecodable.add(sid);
    else end("A track could not be had.");
  });
  const reconnecting = () => timers.push(setTimeout(() => end("The connection was lost."), RECONNECT_TIMEOUT_MS));
  room.on(RoomEvent.Reconnecting, reconnecting);
  room.on(RoomEvent.SignalReconnecting, reconnecting);
  room.on(RoomEvent.Reconnected, () => timers.splice(0).forEach(clearTimeout));
  const forget = onWake((why) => { if (joinedAt !== null) wake(why, end); });

  try {
    timers.push(setTimeout(() => end("The server does not answer."), JOIN_TIMEOUT_MS));
    const options = { autoSubscribe: false, maxRetries: 0, websocketTimeout: 8000, peerConnectionTimeout: 10_000 };
    const early = await Promise.race([room.connect(url, token, options).catch((error) => refusalWords(error, url)), ended]);
    if (early || room.state !== "connected") throw new Error(early ?? "The connection was lost.");
    timers.splice(0).forEach(clearTimeout);
    joinedAt = performance.now();
    way.phase = "joined";
    way.trouble = "";
    viewer.room = room;
    viewer.joins += 1;
    viewer.rejoin = () => end(WOKEN);
    changed();
    const reason = await ended;
    console.warn("viewer: left the room:", reason);
    return { lasted_ms: performance.now() - joinedAt, woke: reason === WOKEN };
  } finally {
    forget();
    timers.forEach(clearTimeout);
    way.phase = "room";
    viewer.room = null;
    room.disconnect().catch(() => {});  // not awaited: without a server it may never finish
    worker?.terminate();
  }
}

/* After a sleep the server has removed this participant. Otherwise the connection may be good: look whether data comes. */
async function wake(why, end) {
  if (why === "suspended") {
    end(WOKEN);
    return;
  }
  const before = await bytesReceived().catch(() => 0);
  if (before === 0) return;  // nothing was due
  await new Promise((done) => setTimeout(done, SILENT_MS));
  if (await bytesReceived().catch(() => 0) === before) end(WOKEN);
}

/* Reads the device's metadata in each frame. The client ends this worker with the room, so each room needs a new one. */
function metadataWorker() {
  const reaches = window.RTCRtpScriptTransform || window.RTCRtpReceiver?.prototype.createEncodedStreams;
  if (!reaches || !HTMLVideoElement.prototype.requestVideoFrameCallback) return undefined;
  try {
    return new Worker(WORKER);
  } catch {
    return undefined;  // without it only the latency is unknown
  }
}

/* In Chromium, livekit-client 2.23.0 with that worker makes every receiver wait until its encoded frames are
   forwarded, but forwards only those of video: without this there is no sound. */
const carried = new WeakSet();
function letThrough({ kind, receiver }) {
  if (kind !== "audio" || !receiver?.createEncodedStreams || carried.has(receiver)) return;
  carried.add(receiver);
  try {
    const { readable, writable } = receiver.createEncodedStreams();
    readable.pipeTo(writable).catch(() => {});
  } catch { /* not needed for this connection */ }
}

const CODEC_UNSUPPORTED = 1;  // livekit.SubscriptionError.SE_CODEC_UNSUPPORTED

/* Fixed texts only: a server's response to a refused token may contain the token. */
function refusalWords(error, url) {
  if (location.protocol === "https:" && new URL(url).protocol === "ws:") {
    return "This page came over https, from which browsers do not connect to ws://. The room needs a wss:// address.";
  }
  const { NotAllowed, ServerUnreachable } = LivekitClient.ConnectionErrorReason;
  return { [NotAllowed]: "The server refused the token.", [ServerUnreachable]: "The server cannot be reached." }[error?.reason]
    ?? "The room could not be joined.";
}

function reasonWords(reason) {
  const name = LivekitClient.DisconnectReason[reason] ?? "UNKNOWN_REASON";
  return { ROOM_DELETED: "The room was closed.", PARTICIPANT_REMOVED: "This page was sent away.",
    DUPLICATE_IDENTITY: "Another page took this one’s place.", SERVER_SHUTDOWN: "The server is going down.",
  }[name] ?? "The connection was lost.";
}
