/* A snapshot of one camera. */

import { $, tame } from "../page/text.js";
import { act, ask, chosen, rebuild } from "./panel.js";
import { camerasOf } from "./health.js";

export function drawPicture() {
  const names = camerasOf(chosen.status);
  rebuild($("picture-stream"), names, () => names.map((each) => new Option(each, each)));
}

$("picture-form").addEventListener("submit", (event) => {
  event.preventDefault();
  act("picture", event.submitter ?? $("picture-form").querySelector("button"), take);
});

async function take() {
  const stream = $("picture-stream").value, full = $("picture-full").checked;
  const values = { stream, max_width: Number($("picture-width").value), quality: Number($("picture-quality").value), full };
  const done = await ask("snapshot", values);
  if (!done.data) throw new Error("The device sent no picture.");
  const image = $("picture"), when = capturedAt(done);
  // Whatever it is, it is shown as a picture only.
  image.src = await dataUrl(new Blob([done.data], { type: "image/jpeg" }));
  await image.decode().catch(() => { throw new Error("What the device sent is no picture."); });
  image.alt = `Snapshot of ${stream}, ${when}`;
  image.hidden = false;
  const save = $("picture-save");
  save.href = image.src;
  save.download = `${stream}-${when.replace(/[^\dTZ]+/g, "-")}.jpg`;
  save.hidden = false;
  return `${image.naturalWidth} × ${image.naturalHeight}, captured ${when}`;
}

function capturedAt(done) {
  return tame(done.captured_at ?? "at an unknown time", 64);
}

function dataUrl(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(new Error("The picture cannot be read."));
    reader.readAsDataURL(blob);
  });
}
