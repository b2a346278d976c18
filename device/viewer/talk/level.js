/* The level of this computer's own microphone. */

const QUIET = 0.0005;        // a peak below the noise of any microphone
const QUIET_MS = 4000;
const WINDOW = 8192;         // samples; longer than from one call to the next, so that no sound is missed

let meter = null;            // {track, source, analyser, samples, loudAt}; one audio graph for the page
let context = null;

/* Returns {rms, silent} of a track, or nulls without one. `silent`: for a while there has been no sound at all. */
export function levelOf(track) {
  if (meter?.track !== track) listen(track);
  if (!meter || context.state !== "running") return { rms: null, silent: false };
  meter.analyser.getFloatTimeDomainData(meter.samples);
  const rms = Math.sqrt(meter.samples.reduce((sum, each) => sum + each * each, 0) / meter.samples.length);
  const now = performance.now();
  if (meter.samples.some((each) => Math.abs(each) > QUIET)) meter.loudAt = now;
  return { rms, silent: now - meter.loudAt > QUIET_MS };
}

function listen(track) {
  meter?.source.disconnect();
  meter = null;
  if (!track || !window.AudioContext) return;
  context = context ?? new AudioContext();
  context.resume().catch(() => {});
  const source = context.createMediaStreamSource(new MediaStream([track])), analyser = context.createAnalyser();
  analyser.fftSize = WINDOW;
  source.connect(analyser);
  meter = { track, source, analyser, samples: new Float32Array(WINDOW), loudAt: performance.now() };
}
