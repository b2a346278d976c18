/* Calls of the device by LiveKit RPC. The answers are untrusted. */

import { tame } from "../page/text.js";

const TOPIC = "device.answer";     // of the byte streams that carry what does not fit into an answer
const ANSWER_MS = 30_000, STREAM_MS = 60_000;
const MAX_STREAM_BYTES = 16 << 20, MAX_STREAMS = 8;
const FORBIDDEN = 403, NO_SUCH_METHOD = 1400;
const MAX_TEXT = 400;

/* A call that the device, or the way to it, refuses. `forbidden`: this identity may not make it. */
export class Refusal extends Error {
  constructor(text, { forbidden = false } = {}) {
    super(text);
    this.forbidden = forbidden;
  }
}

const streams = new Map();         // by sender and id: what is done with its content

export function receiveStreams(room) {
  room.registerByteStreamHandler(TOPIC, async (reader, { identity }) => {
    const stream = slot(identity, reader.info.id), parts = [];
    let size = 0;
    try {
      for await (const part of reader) {
        size += part.length;
        if (size > MAX_STREAM_BYTES) throw new Error("It is too large.");
        parts.push(part);
      }
      stream.done(new Blob(parts, { type: reader.info.mimeType }));
    } catch (error) {
      stream.fail(new Refusal(`The answer was lost: ${tame(error?.message, MAX_TEXT)}`));
    }
  });
}

function slot(identity, id) {
  const key = `${identity} ${id}`;
  if (!streams.has(key)) {
    const made = {};
    made.content = new Promise((done, fail) => Object.assign(made, { done, fail }));
    made.content.catch(() => {});  // nobody may wait for it
    streams.set(key, made);
    if (streams.size > MAX_STREAMS) streams.delete(streams.keys().next().value);
  }
  return streams.get(key);
}

async function content(identity, id) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Refusal("The rest of the answer did not come.")), STREAM_MS));
  try {
    return await Promise.race([slot(identity, id).content, late]);
  } finally {
    streams.delete(`${identity} ${id}`);
  }
}

/* Returns the result of an operation; of a picture also `data`, a Blob. Throws Refusal. */
export async function call(room, device, operation, values = {}) {
  let answer;
  try {
    const text = await room.localParticipant.performRpc({
      destinationIdentity: device, method: `device.${operation}`, payload: JSON.stringify(values), responseTimeout: ANSWER_MS,
    });
    answer = JSON.parse(text);
  } catch (error) {
    throw refusalOf(error, room.localParticipant.identity, operation);
  }
  if (answer === null || typeof answer !== "object") throw new Refusal("The device's answer makes no sense.");
  if (typeof answer.stream !== "string") return answer;
  const data = await content(device, answer.stream);
  if (answer.type !== "application/json") return { ...answer, data };
  try {
    return JSON.parse(await data.text());
  } catch {
    throw new Refusal("The device's answer makes no sense.");
  }
}

function refusalOf(error, identity, operation) {
  const said = tame(error?.message, MAX_TEXT), who = tame(identity, 128);
  if (error?.code === NO_SUCH_METHOD) {
    return new Refusal(`The device takes no call of ${operation}. This identity, ${who}, is not allowed: add it to [control] allow of the device.`, { forbidden: true });
  }
  if (error?.code === FORBIDDEN) {
    return new Refusal(`This identity, ${who}, is not allowed: add it to [control] allow of the device, with ${operation}. The device says: ${said}`, { forbidden: true });
  }
  return new Refusal(error instanceof SyntaxError ? "The device's answer makes no sense." : said || "The call failed.");
}
