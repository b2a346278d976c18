"""The viewer page in unwilling and unable browsers, with the keyboard, after a sleep, of several devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.browser.test_viewer_elsewhere import SMALL
from tests.support import daemon as daemons
from tests.support.chromium import ARGUMENTS, NEEDS_CHROMIUM, PHONE, open_page, shoot, until
from tests.support.viewer_process import viewer_process

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.livekit_server import Server

pytestmark = NEEDS_CHROMIUM

# As a phone does that saves power: nothing plays until a person has tapped or pressed a key. The browser's own
# `navigator.userActivation` does not serve, because each `evaluate` of Playwright counts as an activation.
UNWILLING = """(() => {
  const play = HTMLMediaElement.prototype.play;
  let touched = false;
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = true; }, true);
  HTMLMediaElement.prototype.play = function () {
    if (touched) return play.call(this);
    this.autoplay = false;
    this.pause();
    return Promise.reject(new DOMException("play() can only be initiated by a user gesture.", "NotAllowedError"));
  };
})()"""
STRICT = [
    *(each for each in ARGUMENTS if "autoplay" not in each),
    "--autoplay-policy=document-user-activation-required",
]

# As a Chromium without proprietary codecs: no description of the browser has H.264.
NO_H264 = r"""(() => {
  const without = (description) => {
    if (!description?.sdp) return description;
    const sections = description.sdp.split(/^(?=m=)/m).map((section) => {
      if (!section.startsWith("m=video")) return section;
      const gone = [...section.matchAll(/^a=rtpmap:(\d+) H264/gm)].map(([, type]) => type);
      const tied = [...section.matchAll(/^a=fmtp:(\d+) apt=(\d+)/gm)].filter(([, , of]) => gone.includes(of));
      const types = [...gone, ...tied.map(([, type]) => type)];
      const lines = section.split("\r\n").filter((line) => !types.some((type) =>
        ["rtpmap", "fmtp", "rtcp-fb"].some((kind) => line.startsWith(`a=${kind}:${type} `))));
      lines[0] = lines[0].split(" ").filter((word, place) => place < 3 || !types.includes(word)).join(" ");
      return lines.join("\r\n");
    });
    return { type: description.type, sdp: sections.join("") };
  };
  for (const name of ["createOffer", "createAnswer"]) {
    const original = RTCPeerConnection.prototype[name];
    RTCPeerConnection.prototype[name] = async function (...given) {
      return without(await original.apply(this, given));
    };
  }
})()"""


# What Safari 15.0 lacks, of what a browser of today has.
OLD = """(() => {
  delete AbortSignal.timeout; delete AbortSignal.any; delete Object.hasOwn; delete Promise.withResolvers;
  delete window.structuredClone; delete window.CompressionStream; delete window.RTCRtpScriptTransform;
  delete window.navigation; delete window.scheduler; delete window.BroadcastChannel;
  delete crypto.randomUUID; delete RTCRtpReceiver.prototype.createEncodedStreams;
  delete HTMLVideoElement.prototype.requestVideoFrameCallback; delete Element.prototype.requestFullscreen;
  for (const type of [Array, String, Uint8Array]) delete type.prototype.at;
  for (const name of ["findLast", "toSorted", "toReversed", "toSpliced", "with"]) delete Array.prototype[name];
})()"""


def test_a_browser_that_refuses_to_play_shows_a_button_that_a_key_presses(
    server: Server, room: str, config: Path
) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", **SMALL)
    with (
        daemons.running(config, variables),
        viewer_process(config, variables) as url,
        open_page(url, script=UNWILLING, arguments=STRICT) as page,
    ):
        until(page, "viewer.state === 'paused' && viewer.stats.frames > 0")
        assert page.evaluate("document.querySelector('video').paused")
        page.wait_for_timeout(600)  # no later event takes it for live
        assert page.evaluate("viewer.state") == "paused"
        assert "Play" in page.evaluate("document.getElementById('spoken').textContent")
        assert _complaints(page) == []
        shoot(page, "paused")
        _press_tab_until(page, "play")
        page.keyboard.press("Enter")
        until(page, "viewer.state === 'live' && viewer.stats.audio_level > 0.005")
        assert page.evaluate("!document.querySelector('video').paused && document.getElementById('notice').hidden")
        _press_tab_until(page, "sound")
        page.keyboard.press("Space")
        assert page.evaluate("[...document.querySelectorAll('audio')].every((each) => each.muted)")
        page.focus("figure button:last-child")
        page.keyboard.press("Enter")
        until(page, "document.fullscreenElement?.tagName === 'FIGURE'")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") != ""
        page.keyboard.press("Enter")
        until(page, "!document.fullscreenElement")
        small = ".tools button:nth-child(2)"
        page.focus(small)
        page.keyboard.press("Enter")
        until(page, f"document.querySelector('{small}').getAttribute('aria-label') === 'Leave picture in picture'")
        assert page.evaluate("document.pictureInPictureElement === document.querySelector('video')")
        page.keyboard.press("Enter")
        until(page, "!document.pictureInPictureElement")
        assert _complaints(page) == []
        _sleeps(page)


def _sleeps(page: Page) -> None:
    """Let the computer sleep for a minute, as a page sees it: the clock jumps. The page joins again at once."""
    joins = page.evaluate("viewer.joins")
    page.evaluate("(() => { const now = Date.now; Date.now = () => now() + 60_000; })()")
    until(page, f"viewer.joins === {joins} + 1 && viewer.state === 'live'")
    # The tab is shown again while data comes: nothing happens.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(2000)
    assert page.evaluate(f"viewer.joins === {joins} + 1 && viewer.state === 'live'")


def test_a_browser_without_h264_gets_words_and_sound(server: Server, room: str, config: Path) -> None:
    variables = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", **SMALL)
    with (
        daemons.running(config, variables),
        viewer_process(config, variables) as url,
        open_page(url, script=NO_H264) as page,
    ):
        until(page, "viewer.state === 'no-codec' && viewer.stats.audio_level > 0.005")
        said = page.evaluate("document.getElementById('spoken').textContent")
        assert "This browser cannot decode the picture: it has no H.264" in said
        assert said.endswith("Another browser shows the picture. Sound plays.")
        assert "Firefox" not in said
        shoot(page, "no-codec")
        page.wait_for_timeout(1500)
        assert page.evaluate("[viewer.joins, viewer.state]") == [1, "no-codec"]  # it does not leave and join again


def test_an_old_browser_shows_the_cameras_of_several_devices_together(server: Server, room: str, config: Path) -> None:
    one = daemons.environment(server, room, DEVICE_ROOM__DISPLAY_NAME="Front door", **SMALL)
    two = one | {"DEVICE_ROOM__IDENTITY": "device-2", "DEVICE_ROOM__DISPLAY_NAME": "Garden"}
    with (
        daemons.running(config, one),
        daemons.running(config, two),
        viewer_process(config, one) as url,
        open_page(url, script=OLD, size=PHONE) as page,
    ):
        until(page, "viewer.cameras.length === 2 && viewer.cameras.every((each) => each.live && each.width)")
        captions = page.evaluate("viewer.cameras.map((each) => each.caption)")
        assert sorted(each.split(" 320")[0] for each in captions) == ["Front door", "Garden"]
        assert page.evaluate("document.querySelectorAll('audio').length") == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert _complaints(page) == []
        shoot(page, "devices-phone")
        page.select_option("#devices", label="Garden")
        until(page, "viewer.cameras.length === 1 && viewer.stats.identity === 'device-2' && viewer.state === 'live'")
        assert page.evaluate("document.getElementById('name').textContent") == "Garden"


def _press_tab_until(page: Page, element: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == element:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "the focus cannot be seen"
            return
    raise AssertionError(f"the keyboard does not reach {element}")


# Names of controls, contrast of text (WCAG 2.2, 1.4.3), sizes of targets (2.5.8), ids, landmarks, and a live region.
_CHECKS = r"""() => {
  const found = [], shown = (each) => each.getClientRects().length > 0;
  const name = (each) => (each.getAttribute("aria-label") ?? each.labels?.[0]?.textContent ?? each.textContent).trim();
  for (const each of document.querySelectorAll("button, select, video, [role=region], [role=group]")) {
    if (!shown(each)) continue;
    if (!(name(each) || each.labels?.length)) found.push(`no name: ${each.outerHTML.slice(0, 80)}`);
    const { width, height } = each.getBoundingClientRect();
    if (each.tagName === "BUTTON" && Math.min(width, height) < 24) found.push(`small: ${each.outerHTML.slice(0, 80)}`);
    if (each.tabIndex > 0) found.push(`order: ${each.outerHTML.slice(0, 80)}`);
  }
  const rgba = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((each, place) => each * a + under[place] * (1 - a)).concat(1);
  const behind = (each) => {
    const chain = [];
    for (let one = each; one; one = one.parentElement) chain.push(rgba(getComputedStyle(one).backgroundColor));
    return chain.reverse().reduce((under, colour) => over(colour, under), [0, 0, 0, 1]);
  };
  const light = (colour) => colour.slice(0, 3).map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(each) || each.closest(".unseen, noscript")) continue;
    const back = behind(each), front = over(rgba(getComputedStyle(each).color), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) found.push(`contrast: ${walker.currentNode.data.trim()}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  if (new Set(ids).size !== ids.length) found.push("ids");
  for (const needed of ["html[lang]", "h1", "main", "header", "[role=status][aria-live=polite]", "title"]) {
    if (document.querySelectorAll(needed).length !== 1) found.push(`not once: ${needed}`);
  }
  return found;
}"""


def _complaints(page: Page) -> Any:
    return page.evaluate(_CHECKS)
