/* The page's place in the room: joined again after each loss, except if another page has taken it. */

import { fetchPass, loadClient, Refused } from "../page/access.js";
import { tame } from "../page/text.js";
import { receiveStreams } from "./calls.js";

const BACKOFF_MIN_MS = 500, BACKOFF_MAX_MS = 8000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/* For tests and for the browser's console. */
export const operator = window.operator = { room: null, state: "starting", trouble: "" };

/* Joins again and again. `changed` is called at each change of the room or of the way to it. */
export async function stay(changed) {
  for (let failures = 0; ; failures += 1) {
    try {
      await loadClient();
      const pass = await fetchPass("operator-token");
      say("connecting", "", changed);
      const why = await visit(pass, changed);
      failures = 0;
      say("away", why, changed);
      if (why === TAKEN) return;
    } catch (error) {
      say(error instanceof Refused ? "refused" : "away", tame(error?.message ?? error, 300), changed);
      if (error instanceof Refused) return;
    }
    await sleep(Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** failures));
  }
}

export const TAKEN = "Another page with this identity has taken this one’s place. Reload this page to take it back.";

function say(state, trouble, changed) {
  Object.assign(operator, { state, trouble });
  changed();
}

/* Join at the first URL that works, and return why the room was left. */
async function visit({ token, urls }, changed) {
  const { Room, RoomEvent, DisconnectReason } = LivekitClient;
  LivekitClient.setLogLevel("warn");
  let last;
  for (const url of urls) {
    const room = new Room();
    const ended = new Promise((done) => room.on(RoomEvent.Disconnected, done));
    for (const event of ["ParticipantConnected", "ParticipantDisconnected", "ParticipantAttributesChanged", "ParticipantNameChanged"]) {
      room.on(RoomEvent[event], changed);
    }
    receiveStreams(room);
    try {
      await room.connect(url, token, { autoSubscribe: false });
    } catch {
      last = new Error("The room could not be joined.");  // a server's own text may contain the token
      continue;
    }
    operator.room = room;
    say("joined", "", changed);
    const reason = await ended;
    operator.room = null;
    return reason === DisconnectReason.DUPLICATE_IDENTITY ? TAKEN : "The connection was lost.";
  }
  throw last;
}
