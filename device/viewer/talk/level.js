/* The level of this computer's own microphone. */

const QUIET = 0.0005;        // below the noise of any microphone
const QUIET_MS = 2500;

let meter = null;            // {track, source, analyser, samples, loudAt}; one audio graph for the page
let context = null;

/* Returns {rms, silent} of a track, or nulls without one. `silent`: for a while there has been no sound at all. */
export function levelOf(track) {
  if (meter?.track !== track) listen(track);
  if (!meter || context.state !== "running") return { rms: null, silent: false };
  meter.analyser.getFloatTimeDomainData(meter.samples);
  const rms = Math.sqrt(meter.samples.reduce((sum, each) => sum + each * each, 0) / meter.samples.length);
  const now = performance.now();
  if (rms > QUIET) meter.loudAt = now;
  return { rms, silent: now - meter.loudAt > QUIET_MS };
}

function listen(track) {
  meter?.source.disconnect();
  meter = null;
  if (!track || !window.AudioContext) return;
  context = context ?? new AudioContext();
  context.resume().catch(() => {});
  const source = context.createMediaStreamSource(new MediaStream([track])), analyser = context.createAnalyser();
  source.connect(analyser);
  meter = { track, source, analyser, samples: new Float32Array(analyser.fftSize), loudAt: performance.now() };
}
