/* The device's configuration, as far as this identity may read it. */

import { ask, chosen } from "./panel.js";

const READ_EVERY_MS = 10_000, MAX_KEYS = 1000;
let readAt = -Infinity;

/* Lets the next round read it again. */
export function configurationChanged() {
  readAt = -Infinity;
}

/* Reads it, at most every 10 s. Returns the refusal, if it is one. */
export async function readConfiguration() {
  if (performance.now() - readAt < READ_EVERY_MS) return null;
  readAt = performance.now();
  try {
    const { keys } = await ask("config");
    chosen.config = keys && typeof keys === "object" ? keys : null;
    return null;
  } catch (error) {
    chosen.config = null;
    return error;
  }
}

/* Returns [key, value] of each key in a table, such as "commands". */
export function configured(table) {
  return Object.entries(chosen.config ?? {}).slice(0, MAX_KEYS)
    .filter(([key]) => key.startsWith(`${table}.`)).map(([key, each]) => [key, each?.value]);
}

/* Returns the table of a stream: "camera", or "cameras.garden". */
export const tableOf = (name, kind) => (name === kind ? kind : `${kind}s.${name}`);
export const valueOf = (key) => chosen.config?.[key]?.value;
