/* What several modules of the page share. */

export const noStats = () => ({
  width: 0, height: 0, fps: 0, bitrate_bps: 0, latency_ms: null, frames: 0, identity: null, audio_level: null,
});

/* The page's state, for tests and for the browser's console. `stats` is of the first camera, but frames and bitrate are
   of all tracks; `cameras` has each camera; `joins` counts the sessions. */
export const viewer = window.viewer = {
  state: "starting", stats: noStats(), cameras: [], room: null, joins: 0, rejoin: () => {},
};

/* What is on the page: the devices, a tile for each camera, an audio element for each microphone. */
export const shown = { devices: [], cameras: [], microphones: [] };

/* How far the page is on its way into the room.
   phase: what it waits for: "service", "room", or nothing ("joined").
   where: the host of the room's server. trouble: the error of the last attempt.
   refused: why the service gives no token, until the link changes. */
export const way = { phase: "service", where: "the room", trouble: "", refused: "" };

/* received: the sound level by the browser's statistics, for browsers that run no audio graph. */
export const levels = { received: null };

/* h264: whether this browser decodes it; undecodable: SIDs of tracks that the server does not send for that reason. */
export const codecs = { h264: true, undecodable: new Set() };
