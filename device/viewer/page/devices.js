/* Which devices are in the room, and which of their tracks are shown. It does not touch the page. */

import { MAX_NAME, tame } from "./text.js";

const MAX_DEVICES = 50, MAX_STREAMS = 8;
const MAX_TILES = 12;        // of all devices together

export const attributesOf = (person) =>
  Object.entries(person.attributes ?? {}).filter(([key]) => key.startsWith("device."));

/* The publications of one kind: those of the source, else the first one. The device's first stream, which is named like
   its source, comes first. */
function pick(person, kind, source) {
  const some = [...person.trackPublications.values()].filter((each) => each.kind === kind);
  const of = some.filter((each) => each.source === source);
  const rank = (each) => (each.trackName === source ? 0 : 1);
  return (of.length ? of : some.slice(0, 1))
    .sort((a, b) => rank(a) - rank(b) || (a.trackName < b.trackName ? -1 : a.trackName > b.trackName ? 1 : 0))
    .slice(0, MAX_STREAMS);
}
export const camerasOf = (person) => pick(person, "video", "camera");
const microphonesOf = (person) => pick(person, "audio", "microphone");
export const nameOf = (person) => tame(person.name, MAX_NAME) || tame(person.identity, MAX_NAME);

/* Participants that publish or have a device's attributes; those with a camera first, then the earliest. If a device has
   a speaker, others that publish sound only are not devices: they talk to it. */
export function devicesIn(room) {
  const rank = (person) => (camerasOf(person).length ? 0 : 1);
  const all = [...room.remoteParticipants.values()], canTalk = all.some((each) => each.attributes?.["device.speaker"]);
  const publishes = (person) => [...person.trackPublications.values()].some(({ kind }) => kind === "video" || !canTalk);
  return all
    .filter((person) => publishes(person) || attributesOf(person).length > 0)
    .sort((a, b) => rank(a) - rank(b) || (a.joinedAt ?? 0) - (b.joinedAt ?? 0) || (a.identity < b.identity ? -1 : 1))
    .slice(0, MAX_DEVICES);
}

/* The devices to show: the chosen one, else all. */
export function choose(devices, chosen) {
  const picked = devices.find((each) => each.identity === chosen);
  return picked ? [picked] : devices;
}

/* Their tracks: [{device, publication}] of each kind. */
export function tracksOf(devices) {
  const all = (of) => devices.flatMap((device) => of(device).map((publication) => ({ device, publication })));
  return { cameras: all(camerasOf).slice(0, MAX_TILES), microphones: all(microphonesOf).slice(0, MAX_TILES) };
}

/* Names for a list of choices: two devices with one name are distinguished by identity. */
export function namesOf(devices) {
  const names = devices.map(nameOf);
  return devices.map((each, number) => {
    const name = names[number];
    const twice = names.indexOf(name) !== names.lastIndexOf(name);
    return twice ? `${name} (${tame(each.identity, MAX_NAME)})` : name;
  });
}
