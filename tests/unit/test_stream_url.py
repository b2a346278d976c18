"""URLs of streams: which are allowed, and that no text shows more of them than the host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import stream_url

SECRET = "zq-pass"


@pytest.mark.parametrize(
    ("url", "shown"),
    (
        (f"rtsp://admin:{SECRET}@192.0.2.7/{SECRET}", "rtsp://192.0.2.7"),
        (f"rtsps://cam.example:322/s?k={SECRET}", "rtsps://cam.example:322"),
        (f"http://u:{SECRET}@[2001:db8::7]:8080/video.mjpg", "http://[2001:db8::7]:8080"),
        (f" rtmp://cam.example/live/{SECRET}\n", "rtmp://cam.example"),
    ),
)
def test_only_scheme_host_and_port_are_shown(url: str, shown: str) -> None:
    checked = stream_url.checked(url)
    assert checked == url.strip()
    assert stream_url.origin(checked) == shown


@pytest.mark.parametrize(
    ("url", "why"),
    (
        ("", "is empty"),
        (f"/home/{SECRET}", "must begin with one of rtsp://"),
        (f"file:///etc/{SECRET}", "must begin with one of rtsp://"),
        (f"concat:/etc/{SECRET}|/b", "must begin with one of rtsp://"),
        (f"RTSP://{SECRET}@h/", "must begin with one of rtsp://"),
        (f"rtsp://{SECRET}@", "has no valid host"),
        (f"rtsp://u:{SECRET}@h:port/", "has no valid host"),
        (f"rtsp://h/{SECRET} b", "has white space"),
        (f"rtsp://h/{SECRET}ä", "letters outside of ASCII"),
        (f"rtsp://h/{SECRET}" + "x" * 5000, "is too long"),
    ),
)
def test_a_refused_url_is_not_in_the_text(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        stream_url.checked(url)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    try:
        checked = stream_url.checked(text)
    except ValueError:
        return
    assert stream_url.origin(checked).startswith(stream_url.SCHEMES)
