/* Hold to talk: by mouse, finger, or space bar; and a switch for those who cannot hold. */

const held = new Set();      // of "pointer", "key", "switch"
let changed = () => {};

export const isHeld = () => held.size > 0;
export const isKept = () => held.has("switch");

/* Calls `listener` when a hold begins or ends. */
export function watchHolds(button, keep, listener) {
  changed = listener;
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    button.setPointerCapture(event.pointerId);
    hold("pointer", true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    button.addEventListener(end, () => hold("pointer", false));
  }
  button.addEventListener("contextmenu", (event) => event.preventDefault());  // of a long touch
  keep.addEventListener("click", () => hold("switch", !isKept()));
  document.addEventListener("keydown", (event) => {
    const isHere = event.target === button || (event.key === " " && event.target === document.body);
    if (!isHere || ![" ", "Enter"].includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (!event.repeat) hold("key", true);
  });
  document.addEventListener("keyup", (event) => {
    if (!held.has("key") || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    hold("key", false);
  });
  // The end of a hold is not reported to a page without focus.
  addEventListener("blur", () => { hold("pointer", false); hold("key", false); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) release(); });
}

export function release() {
  for (const each of [...held]) hold(each, false);
}

function hold(by, on) {
  if (held.has(by) === on) return;
  if (on) held.add(by);
  else held.delete(by);
  changed();
}
