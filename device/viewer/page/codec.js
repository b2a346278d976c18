/* Which pictures this browser can decode. */

import { codecs } from "./state.js";

const MIME = /^video\/h264$/i, IN_OFFER = /^a=rtpmap:\d+ H264\//im;

/* Asks the browser. Firefox fetches its decoder some minutes after its first start, so the answer changes. */
export async function lookForH264() {
  codecs.undecodable.clear();
  codecs.h264 = await offersH264().catch(() => true);
}

export function canDecode(publication) {
  return !codecs.undecodable.has(publication.trackSid) && (codecs.h264 || !MIME.test(publication.mimeType ?? ""));
}

/* A real offer, because not every browser lists the codecs of a receiver, or lists what it really has. */
async function offersH264() {
  const listed = window.RTCRtpReceiver?.getCapabilities?.("video")?.codecs;
  if (listed && !listed.some(({ mimeType }) => MIME.test(mimeType))) return false;
  const connection = new RTCPeerConnection();
  try {
    connection.addTransceiver("video", { direction: "recvonly" });
    return IN_OFFER.test((await connection.createOffer()).sdp);
  } finally {
    connection.close();
  }
}
