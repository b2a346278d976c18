/* What the page says about the microphone and about the devices. It does not touch the page. */

const INSECURE = "Browsers give a microphone only to pages that came over https, or from this computer itself. Open the page "
  + "at http://localhost through ssh -L, or through a proxy with https.";
const REFUSALS = {
  NotAllowedError: "This browser does not let the page use a microphone. Allow it in the page’s settings, beside its address, "
    + "and hold the button again.",
  NotFoundError: "This computer has no microphone. Connect one, and hold the button again.",
  NotReadableError: "The microphone cannot be opened. Another program may use it: end that, and hold the button again.",
};

/* Why this browser offers no microphone to the page at all; empty if it does. */
export function obstacle() {
  if (!window.isSecureContext) return INSECURE;
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser has no microphone for pages. Use another browser.";
}

/* What to do about an error of getUserMedia or of the publication. */
export function refusal(error) {
  const { name } = error ?? {};
  const { PublishTrackError } = window.LivekitClient ?? {};
  if (PublishTrackError && error instanceof PublishTrackError) {
    return "The server does not publish this microphone. Hold the button again, or load the page again.";
  }
  return REFUSALS[{ SecurityError: "NotAllowedError", DevicesNotFoundError: "NotFoundError", AbortError: "NotReadableError" }[name]
    ?? name] ?? "The microphone cannot be used. Hold the button again, or use another browser.";
}

/* One line for each device with a speaker. */
export function speakerWords({ name, state, by, why }) {
  return {
    out: `${name} has no speaker now: ${why}`,
    idle: by ? `${name} is ready; talking now: ${by}` : `${name} is ready`,
    waiting: `${name}: waiting`,
    hears: `${name} hears you`,
    busy: `${name} is busy: ${by} is talking`,
    deaf: `${name} does not play this: its [speaker] allow must name you`,
    paused: `${name} is silent: after a pause it plays what you say next`,
  }[state];
}
