/* What the page gets from the viewer service: LiveKit's client, and a token with the room's URLs. */

const CLIENT = "vendor/livekit-client.umd.js";
const ANSWER_MS = 8000;      // the service may first ask a server that does not answer

/* The service does not answer, or not now. */
export class ServiceAway extends Error {}

/* The service gives no token to this link. */
export class Refused extends Error {}

/* Loaded by a script, because the page could not retry a failed <script> tag. */
export function loadClient() {
  if (window.LivekitClient) return undefined;
  return new Promise((done, fail) => {
    const script = document.createElement("script");
    script.onload = () => done();
    script.onerror = () => { script.remove(); fail(new ServiceAway("It does not answer.")); };
    script.src = CLIENT;
    document.head.append(script);
  });
}

/* Returns {token, urls, rewritten} from the path of a page's tokens. Throws ServiceAway or Refused. */
export async function fetchPass(path = "token") {
  const abort = new AbortController(), timer = setTimeout(() => abort.abort(), ANSWER_MS);
  try {
    const answer = await asked(path, abort.signal);
    if (!answer.ok) await refuse(answer);
    const { token, urls, rewritten } = await answer.json();
    urls.forEach((url) => new URL(url));
    if (!urls.length) throw new Error("There is no URL.");
    return { token, urls, rewritten };
  } catch (error) {
    if (error instanceof ServiceAway || error instanceof Refused) throw error;
    throw new ServiceAway("Its answer makes no sense.");
  } finally {
    clearTimeout(timer);
  }
}

async function asked(path, signal) {
  try {
    return await fetch(path, {
      method: "POST", cache: "no-store", signal, headers: { "Content-Type": "application/json" },
      // The link's key is after the #, which browsers do not send with the request for the page.
      body: JSON.stringify({ secret: location.hash.slice(1).replace(/[^\w-]/g, "").slice(0, 200) }),
    });
  } catch {
    throw new ServiceAway("It does not answer.");
  }
}

async function refuse(answer) {
  const said = (answer.headers.get("content-type") ?? "").startsWith("text/plain") ? await answer.text() : "";
  const text = said || `It answered ${answer.status}.`;
  throw answer.status === 403 ? new Refused(text) : new ServiceAway(text);
}
