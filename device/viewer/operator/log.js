/* The newest log records. */

import { $, tame } from "../page/text.js";
import { ask, result } from "./panel.js";

const LINES = 100, MAX_SHOWN = 500, MAX_LINE = 1000;
const OWN = new Set(["number", "time", "level", "event"]);
let since = 0, following = false, reading = false;

$("log-follow").addEventListener("click", () => {
  following = !following;
  $("log-follow").setAttribute("aria-pressed", String(following));
  readLog();
});
$("log-level").addEventListener("change", () => { forget(); readLog(); });

function forget() {
  since = 0;
  $("log").replaceChildren();
}

/* Another device's log begins anew. */
export function resetLog() {
  forget();
  result("log", "");
}

/* Adds what is new, if the log is followed. */
export async function readLog() {
  if (!following || reading) return;
  reading = true;
  const level = $("log-level").value;
  try {
    const { records } = await ask("logs", { since, level, lines: LINES });
    if (level === $("log-level").value && Array.isArray(records)) show(records.slice(0, LINES));
    result("log", "");
  } catch (error) {
    result("log", error.message, "bad");
  } finally {
    reading = false;
  }
}

function show(records) {
  const log = $("log"), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  // A restarted device counts from the beginning again.
  if (records.length && Number(records[0].number) <= since) forget();
  for (const each of records) {
    since = Math.max(since, Number(each.number) || 0);
    log.append(`${line(each)}\n`);
  }
  while (log.childNodes.length > MAX_SHOWN) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function line(record) {
  const more = Object.entries(record).filter(([key]) => !OWN.has(key))
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return tame([record.time, record.level, record.event, ...more].join(" "), MAX_LINE);
}
