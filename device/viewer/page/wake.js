/* Notices that the computer slept, that the page is visible again, or that the network is back. */

const LOOK_MS = 1000;
const SUSPENDED_MS = 5000;   // timers of a visible page are never that late

const listeners = new Set();
let lookedAt = Date.now();   // unlike performance.now() it goes on while the computer sleeps
let slept = false;

/* Calls `listener` with "suspended", "visible" or "online"; returns what ends that. */
export function onWake(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/* Waits, but not longer than until the page wakes up. Returns whether it did. */
export function pause(ms) {
  return new Promise((done) => {
    const end = (woke) => { clearTimeout(timer); forget(); done(woke); };
    const timer = setTimeout(() => end(false), ms);
    const forget = onWake(() => end(true));
  });
}

function wake(why) {
  for (const listener of [...listeners]) listener(why);
}

/* Returns whether the page woke up from a sleep. */
function look() {
  const now = Date.now();
  if (now - lookedAt - LOOK_MS > SUSPENDED_MS) slept = true;
  lookedAt = now;
  // The timers of a hidden page are late without any sleep.
  if (!slept || document.hidden) return false;
  slept = false;
  wake("suspended");
  return true;
}

setInterval(look, LOOK_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !look()) wake("visible");
});
addEventListener("pageshow", (event) => { if (event.persisted) wake("suspended"); });
addEventListener("online", () => wake("online"));
