"""The proxy for a URL by the environment, with the rules of the SDK, curl and Python."""

from __future__ import annotations

import base64

import pytest

from device.network.proxy import SDK_VARIABLES, Proxy, ProxyError, host_to_reach, proxy_for, sdk_variables

P = "http://proxy.example:3128"
THERE = Proxy(variable="HTTP_PROXY", host="proxy.example", port=3128)


@pytest.mark.parametrize(
    ("url", "environment", "found"),
    (
        ("wss://h", {}, ""),
        ("wss://h", {"HTTPS_PROXY": P}, "proxy.example:3128"),
        ("https://h/token", {"HTTPS_PROXY": P}, "proxy.example:3128"),
        ("wss://h", {"https_proxy": P}, "proxy.example:3128"),
        ("wss://h", {"HTTP_PROXY": P, "http_proxy": P}, ""),
        ("ws://h", {"HTTP_PROXY": P}, "proxy.example:3128"),
        ("http://h", {"http_proxy": P}, "proxy.example:3128"),
        ("ws://h", {"HTTPS_PROXY": P, "https_proxy": P}, ""),
        ("wss://h", {"ALL_PROXY": P, "all_proxy": P}, ""),  # the SDK reads neither
        ("wss://h", {"HTTPS_PROXY": "http://upper", "https_proxy": P}, "upper:80"),
        ("wss://h", {"HTTPS_PROXY": "", "https_proxy": P}, ""),
        ("wss://h", {"HTTPS_PROXY": "  "}, ""),
        ("wss://h", {"HTTPS_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
        ("wss://h", {"HTTPS_PROXY": "proxy.example"}, "proxy.example:80"),
        ("wss://h", {"HTTPS_PROXY": "https://proxy.example"}, "proxy.example:443"),
        ("wss://h", {"HTTPS_PROXY": "http://[2001:db8::1]:3128/"}, "[2001:db8::1]:3128"),
        ("wss://h", {"HTTPS_PROXY": "http://bücher.example:3128"}, "xn--bcher-kva.example:3128"),
    ),
)
def test_which_proxy_applies(url: str, environment: dict[str, str], found: str) -> None:
    proxy = proxy_for(url, environment)
    assert (str(proxy) if proxy else "") == found


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    (
        ("ws://h", "*", True),
        ("ws://h", "other,*", True),
        ("ws://h", "", False),
        ("ws://h", ",, ,", False),
        ("ws://h", "h", True),
        ("ws://h.", "h", True),
        ("ws://h", "h.", True),
        ("ws://H", "h", True),
        ("ws://h", "H", True),
        ("ws://room.example", "example", True),
        ("ws://room.example", ".example", True),
        ("ws://room.example", "*.example", True),
        ("ws://room.example", "room.example", True),
        ("ws://room.example", ".room.example", True),
        ("ws://room.example", "oom.example", False),
        ("ws://room.example", "m.room.example", False),
        ("ws://room.example", "exam", False),
        ("ws://room.example", "one two  room.example", True),
        ("ws://room.example", "one, room.example ,two", True),
        ("ws://room.example:7880", "room.example:7880", True),
        ("ws://room.example:7880", "room.example:80", False),
        ("ws://room.example:7880", ".example:7880", True),
        ("ws://room.example", "room.example:80", True),
        ("http://room.example", "room.example:80", True),
        ("ws://bücher.example", "bücher.example", True),
        ("ws://bücher.example", "xn--bcher-kva.example", True),
        ("ws://localhost", "127.0.0.1", False),  # names are not resolved
        ("ws://localhost:7880", "localhost", True),
        ("ws://127.0.0.1:7880", "127.0.0.1", True),
        ("ws://127.0.0.1:7880", "127.0.0.1:7880", True),
        ("ws://127.0.0.1:7880", "127.0.0.1:7881", False),
        ("ws://127.0.0.1", "127.0.0.0/8", True),
        ("ws://128.0.0.1", "127.0.0.0/8", False),
        ("ws://192.168.7.9", "192.168.7.1/16", True),
        ("ws://10.0.0.1", "0.0.1", False),
        ("ws://[::1]:7880", "::1", True),
        ("ws://[::1]:7880", "[::1]", True),
        ("ws://[::1]:7880", "[::1]:7880", True),
        ("ws://[::1]:7880", "[::1]:80", False),
        ("ws://[fd00::7]", "fd00::/8", True),
        ("ws://[fd00::7]", "[fd00::]/8", True),
        ("ws://[fe80::7]", "fd00::/8", False),
        ("ws://[0:0::1]", "::1", True),
        ("ws://room.example", "10.0.0.0/8", False),
        ("ws://room.example", "a..b,300.1.1.1/99,[,]:,:80", False),
    ),
)
def test_which_hosts_no_proxy_covers(url: str, no_proxy: str, direct: bool) -> None:  # noqa: FBT001 - a parameter
    for name in ("NO_PROXY", "no_proxy"):
        found = proxy_for(url, {"HTTP_PROXY": P, name: no_proxy})
        assert found == (None if direct else THERE)


@pytest.mark.parametrize(
    "value",
    (
        "socks5://zq@proxy.example:1080",
        "socks5h://proxy.example",
        "ftp://proxy.example",
        "http://",
        "http://:3128",
        "http://proxy.example:zq",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "http://proxy zq.example:3128",
        "http://[::1:3128",
        "http://u:zq%FFzq@proxy.example",
        "://zq",
        "http://u:z%40q@proxy.example",  # the SDK would send z%40q
        "http://z%3Aq:pw@proxy.example",
        "http://u:z q@proxy.example",
        "http://u:zqé@proxy.example",
    ),
)
def test_an_unusable_proxy_is_an_error_without_its_value(value: str) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        with pytest.raises(ProxyError, match=rf"^{name} .*allowed") as caught:
            proxy_for("wss://h", {name: value})
        assert "zq" not in str(caught.value)
        assert "z%" not in str(caught.value)
    assert host_to_reach("wss://h.example", {"HTTPS_PROXY": value}) == "h.example"
    assert proxy_for("wss://h", {"HTTPS_PROXY": value, "NO_PROXY": "h"}) is None


@pytest.mark.parametrize(
    ("userinfo", "sent", "sdk"),
    (
        ("u:pw@", "u:pw", "u:pw@"),
        ("u:p%21w@", "u:p!w", "u:p!w@"),  # the SDK does not decode it
        (":pw@", ":pw", ":pw@"),
        ("u@", "", ""),  # without a password the SDK sends nothing
        ("u:@", "", ""),
        ("", "", ""),
    ),
)
def test_user_and_password_are_sent_and_never_shown(userinfo: str, sent: str, sdk: str) -> None:
    environment = {"HTTPS_PROXY": f"http://{userinfo}proxy.example:3128"}
    proxy = proxy_for("wss://h", environment)
    assert proxy
    assert proxy.authorization == (f"Basic {base64.b64encode(sent.encode()).decode()}" if sent else "")
    assert sdk_variables("wss://h", environment)["HTTPS_PROXY"] == f"http://{sdk}proxy.example:3128"
    assert "pw" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    ("url", "environment", "names"),
    (
        ("wss://h", {}, ()),
        ("wss://h", {"PATH": "/bin"}, ()),
        ("wss://h", {"HTTPS_PROXY": P}, ("HTTPS_PROXY", "https_proxy")),
        ("wss://h", {"https_proxy": "proxy.example:3128"}, ("HTTPS_PROXY", "https_proxy")),
        ("ws://h", {"HTTP_PROXY": P, "NO_PROXY": "h"}, ()),
        ("ws://h", {"HTTP_PROXY": P, "HTTPS_PROXY": P}, ("HTTP_PROXY", "http_proxy")),
        ("wss://h", {"ALL_PROXY": P, "all_proxy": P}, ()),
    ),
)
def test_the_sdks_proxy_variables(url: str, environment: dict[str, str], names: tuple[str, ...]) -> None:
    """Each variable is set, because the others have to be empty."""
    assert sdk_variables(url, environment) == dict.fromkeys(SDK_VARIABLES, "") | dict.fromkeys(names, P)


def test_the_host_to_reach_is_the_proxys_if_there_is_one() -> None:
    environment = {"HTTP_PROXY": P, "NO_PROXY": "127.0.0.1"}
    assert host_to_reach("ws://192.0.2.7", environment) == "proxy.example"
    assert host_to_reach("ws://127.0.0.1", environment) == "127.0.0.1"
