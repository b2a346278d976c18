"""Secrets in text that leaves the process."""

from __future__ import annotations

import json
import string
import time
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import redaction
from device.redaction import MARK, hide, redacted

TOKEN = jwt.encode({"sub": "porch", "video": {"room": "front-door"}}, "k" * 32)
_ODD = string.ascii_letters + string.digits + "@/#?:!$%&*()+,;=[]{}|~^-_.<>\\'"
PASSWORDS = st.text(_ODD, min_size=6, max_size=30)
HOSTS = st.sampled_from(("192.0.2.7", "cam.example:554", "[2001:db8::1]:80"))
SCHEMES = st.sampled_from(("rtsp", "rtsps", "http", "https", "wss", "rtmp", "socks5h"))


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        ("rtsp://admin:hunter2@192.0.2.7/stream1", f"rtsp://{MARK}@192.0.2.7/stream1"),
        ("rtsp://admin@192.0.2.7/", f"rtsp://{MARK}@192.0.2.7/"),
        ("(rtsp://a:p@ss/w#rd@h/x): no such file", f"(rtsp://{MARK}@h/x): no such file"),
        ("admin:hunter2@192.0.2.7/stream1", f"{MARK}@192.0.2.7/stream1"),
        ("path='admin:hunter2@192.0.2.7'", f"path='{MARK}@192.0.2.7'"),
        ("rtsp%3A%2F%2Fadmin%3Ahunter2%40192.0.2.7", f"rtsp%3A%2F%2F{MARK}@192.0.2.7"),
        ("http://h/a?access_token=abc&room=x", f"http://h/a?access_token={MARK}&room=x"),
        ("http://h/a?api_key=abc;Password=d", f"http://h/a?api_key={MARK};Password={MARK}"),
        ("http://h/a?access_token%3Dabc", f"http://h/a?access_token%3D{MARK}"),
        ("Authorization: Bearer abc.def", f"Authorization: {MARK}"),
        ("{'Authorization': 'Basic YWRtaW46aHVudGVyMg=='}", f"{{'Authorization': '{MARK}'}}"),
        ('{"api_secret": "abcdef"}', f'{{"api_secret": "{MARK}"}}'),
        ('{"m": "{\\"password\\": \\"abc\\"}"}', f'{{"m": "{{\\"password\\": \\"{MARK}\\"}}"}}'),
        (f"401 for {TOKEN}: no", f"401 for {MARK}: no"),
        (f"token {TOKEN[:-50]}", f"token {MARK}"),
    ),
)
def test_secrets_are_removed_and_the_rest_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    (
        "nothing came for 2 s",
        "https://livekit.example/lk answers HTTP 503",
        "ws://[2001:db8::1]:7880",
        "set credentials.token_file, or api_key with api_secret",
        "write to ops@example.org",
        "12:30:01 device@porch",
        "the token is not enough: it does not allow to publish",
        "camera.keyframe_interval_s=10",
    ),
)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert redacted(text) == text


@given(SCHEMES, PASSWORDS, HOSTS)
def test_no_piece_of_a_password_in_a_url_remains(scheme: str, password: str, host: str) -> None:
    for text in (f"{scheme}://zq:{password}@{host}/x", f"zq:{quote(password, safe='')}@{host}"):
        assert redacted(f"cannot open {text} now") in (
            f"cannot open {scheme}://{MARK}@{host}/x now",
            f"cannot open {MARK}@{host} now",
        )


@given(SCHEMES, PASSWORDS)
def test_a_json_line_stays_json(scheme: str, password: str) -> None:
    line = json.dumps({"why": f"{scheme}://zq:{password}@h/x", "api_secret": password, "then": 1})
    assert json.loads(redacted(line))["then"] == 1


@given(st.text(min_size=6, max_size=60))
def test_a_value_that_is_known_is_removed_in_any_form(secret: str) -> None:
    before = dict(redaction._secrets)
    try:
        hide(secret)
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            assert form not in redacted(f"<<{form}>>") or form in f"<<{MARK}>>"
    finally:
        redaction._secrets.clear()
        redaction._secrets.update(before)


def test_what_is_known_is_bounded() -> None:
    before = dict(redaction._secrets)
    try:
        for number in range(1000):
            hide(f"secret-{number}")
        assert len(redaction._secrets) <= 64
        assert redacted("secret-999") == MARK
        hide("abc")
        assert redacted("abc") == "abc"
    finally:
        redaction._secrets.clear()
        redaction._secrets.update(before)


@pytest.mark.parametrize(
    "piece", ("eyJ", "a://", "a:b@", "token=", '"token": ', "x", "%3a%2f%2f", "bearer ", "\\", "%40")
)
def test_long_text_takes_no_more_than_its_share_of_time(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.thread_time()
        redacted(text)
        return time.thread_time() - began

    seconds(1000)
    assert seconds(64_000) < 0.5
