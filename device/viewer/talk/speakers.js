/* What each device with a speaker does with the voice of this page. It does not touch the page. */

import { devicesIn, namesOf } from "../page/devices.js";
import { MAX_NAME, MAX_VALUE, tame } from "../page/text.js";

const ANSWER_MS = 3000;      // a device that plays the voice says so by then

let heardBy = new Set();     // identities of devices that have played the present talk

/* Returns [{identity, name, state, by, why}], `open_ms`: for how long the microphone has been open; null if it is not.
   state: "out" (no speaker now: why), "busy" (plays the voice of `by`), "hears" (plays this page's voice), "idle"; while
   the microphone is open also "waiting", "deaf" (it does not play the voice) and "paused" (not now: a talk ends after
   some seconds of silence, and at its maximum length, and goes on with the next sound after a pause). `by` are the
   others whose voices it plays. A device that mixes voices is never busy. */
export function speakersIn(room, open_ms) {
  if (open_ms === null) heardBy = new Set();
  const devices = devicesIn(room).filter(({ attributes }) => attributes?.["device.speaker"]);
  const names = namesOf(devices);
  return devices.map((device, number) => {
    const talker = device.attributes["device.talker"] ?? "", why = device.attributes["device.speaker"];
    const mixed = device.attributes["device.speaker_mode"] === "mixed";
    const talkers = talker.split(", ").filter(Boolean), me = room.localParticipant.identity;
    const own = talkers.includes(me), others = talkers.filter((each) => each !== me);  // several without `exclusive`
    if (own && open_ms !== null) heardBy.add(device.identity);
    return { identity: device.identity, name: names[number], by: tame(others.join(", "), MAX_NAME), why: tame(why, MAX_VALUE),
      state: stateOf({ live: why === "live", taken: talker && !mixed, own, open_ms, heard: heardBy.has(device.identity) }) };
  });
}

function stateOf({ live, taken, own, open_ms, heard }) {
  if (!live) return "out";
  if (taken && !own) return "busy";
  if (open_ms === null) return "idle";
  if (own) return "hears";
  if (heard) return "paused";
  return open_ms < ANSWER_MS ? "waiting" : "deaf";
}
