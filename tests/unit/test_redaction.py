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
from device.redaction import MARK, hide, redacted, without_secrets

TOKEN = jwt.encode({"sub": "porch", "video": {"room": "front-door"}}, "k" * 32)
_ODD = string.ascii_letters + string.digits + "@/#?:!$%&*()+,;=[]{}|~^-_.<>\\'\" "
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
        ("rtsp://admin:hun ter2@192.0.2.7/s", f"rtsp://{MARK}@192.0.2.7/s"),
        ("rtsp://admin:12 34@192.0.2.7/s", f"rtsp://{MARK}@192.0.2.7/s"),
        ("rtsp://admin:hun\"ter2'@192.0.2.7/s", f"rtsp://{MARK}@192.0.2.7/s"),
        ("rtsp://me@example.org:hun/ter2@192.0.2.7/s", f"rtsp://{MARK}@192.0.2.7/s"),
        ("rtsp://admin:hunter2%40192.0.2.7/s", f"rtsp://{MARK}%40192.0.2.7/s"),
        ("rtsp:/admin:hunter2@192.0.2.7/s", f"rtsp:/{MARK}@192.0.2.7/s"),
        ("rtsp:\\/\\/admin:hunter2@h\\/s", f"rtsp:\\/\\/{MARK}@h\\/s"),
        ("/etc/admin:hunter2@192.0.2.7/s: no such file", f"/etc/{MARK}@192.0.2.7/s: no such file"),
        ("//admin:hunter2@192.0.2.7/s", f"//{MARK}@192.0.2.7/s"),
        ("rtsp%253A%252F%252Fadmin%253Ahunter2%2540h", f"rtsp%253A%252F%252F{MARK}@h"),
        ("rtsp://admin:hunter2", f"rtsp://{MARK}"),
        ("rtsp://u:one@h1/a rtsp://v:two@h2/b", f"rtsp://{MARK}@h1/a rtsp://{MARK}@h2/b"),
        ("{'a': 'rtsp://u:one@h1', 'b': 'rtsp://v:two@h2'}", f"{{'a': 'rtsp://{MARK}@h1', 'b': 'rtsp://{MARK}@h2'}}"),
        ("api_secret = hunter2, x", f"api_secret = {MARK}, x"),
        ("api_secret = 'hunter two'", f"api_secret = '{MARK}'"),
        ("api_secret: hunter2hunter2", f"api_secret: {MARK}"),
        ("LIVEKIT_API_SECRET=hunter2", f"LIVEKIT_API_SECRET={MARK}"),
        ("srt://h:9000?passphrase=hunter2&streamid=x", f"srt://h:9000?passphrase={MARK}&streamid=x"),
        ("/a?X-Amz-Signature=abc&X-Amz-Date=1", f"/a?X-Amz-Signature={MARK}&X-Amz-Date=1"),
        ("/a?key=abc&auth=d&sig=e&pwd=f", f"/a?key={MARK}&auth={MARK}&sig={MARK}&pwd={MARK}"),
        ("/a?password=hun%26t,er;2)x&y=1", f"/a?password={MARK}&y=1"),
        ("http://h:554/user=admin_password=hunter2_channel=1", f"http://h:554/user=admin_password={MARK}"),
        ("X-Api-Key: hunter2", f"X-Api-Key: {MARK}"),
        ("Authorization: Digest user=admin, response=abc", f"Authorization: {MARK}"),
        ("Proxy-Authorization: Basic YTpi\nHost: h", f"Proxy-Authorization: {MARK}\nHost: h"),
        ("sent Bearer abc123", f"sent Bearer {MARK}"),
        ("{'clientSecret': 'hun\"ter'}", f"{{'clientSecret': '{MARK}'}}"),
        ('{"password": "hun\'ter\\\\2"}', f'{{"password": "{MARK}"}}'),
    ),
)
def test_secrets_are_removed_and_the_rest_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected
    assert redacted(expected) == expected


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
        "camera.controls.key=5; KEY=VALUE",
        "Basic authentication is required, bearer tokens are refused",
        "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a",
        "https://cdn.example/livekit-client@2.23.0/dist",
        "https://host.example:8080 is not reachable; write to ops@example.org",
        "git@host.example:org/repo",
        "monkeyJungleHabitat.mp4",
        "ws://host:port or wss://HOST:PORT/path",
        "http://host.example: refused",
        "credentials.api_secret: is empty",
        "/media/front@2x.mp4: cannot be opened",
    ),
)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert redacted(text) == text


@given(SCHEMES, PASSWORDS, HOSTS)
def test_no_part_of_a_password_in_a_url_remains(scheme: str, password: str, host: str) -> None:
    for text in (f"{scheme}://zq:{password}@{host}/x", f"zq:{quote(password, safe='')}@{host}"):
        assert redacted(f"cannot open {text} now") in (
            f"cannot open {scheme}://{MARK}@{host}/x now",
            f"cannot open {MARK}@{host} now",
        )


@given(SCHEMES, PASSWORDS)
def test_a_structure_keeps_its_shape_and_loses_its_secrets(scheme: str, password: str) -> None:
    url = f"{scheme}://zq:{password}@h/x"
    value = {"why": url, "api_secret": password, "then": 1, "in": [{"Authorization": password}, (url,)], url: None}
    shown = json.loads(json.dumps(without_secrets(value)))
    public = f"{scheme}://{MARK}@h/x"
    assert shown == {
        "why": public,
        "api_secret": MARK,
        "then": 1,
        "in": [{"Authorization": MARK}, [public]],
        public: None,
    }


@given(st.text(min_size=6, max_size=60))
def test_a_known_secret_is_removed_in_any_form(secret: str) -> None:
    before = dict(redaction._secrets)
    try:
        hide(secret)
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            assert form not in redacted(f"<<{form}>>") or form in f"<<{MARK}>>"
    finally:
        redaction._secrets.clear()
        redaction._secrets.update(before)


def test_the_number_of_known_secrets_is_bounded() -> None:
    before = dict(redaction._secrets)
    try:
        for number in range(1000):
            hide(f"secret-{number}")
        assert len(redaction._secrets) <= 64
        assert redacted("secret-999") == MARK
        for number in range(1000):
            hide(jwt.encode({"number": number}, "k" * 32))
        assert redacted("secret-999") == MARK
        hide("abc")
        assert redacted("abc") == "abc"
    finally:
        redaction._secrets.clear()
        redaction._secrets.update(before)


@pytest.mark.parametrize(
    "piece",
    (
        *("eyJ", "a://", "a:b@", "token=", '"token": ', "x", "%3a%2f%2f", "bearer ", "\\", "%40", "a:/", "a:", "x-a-"),
        *("a://b ", "a://[", "a://a%", "'key':'", "authorization:", "token=;a", "pass=a;", "%3a%2f%2f%40", "\\/", " "),
    ),
)
def test_time_is_linear_in_the_length_of_the_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.thread_time()
        redacted(text)
        return time.thread_time() - began

    seconds(1000)
    assert seconds(64_000) < 0.5
