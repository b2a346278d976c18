"""[network] of the configuration: what it sets, what it leaves to the environment, and that no text has a password."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from device import cli
from device.boot.content import interpreted
from device.config.network import Network
from device.errors import ConfigError
from device.network import rules, tls
from device.network.http import http_session
from device.network.proxy import ProxyError, host_to_reach, proxy_for, sdk_variables
from device.network.rules import NetworkRules
from device.redaction import redacted
from device.report.secrets import learn, masked
from device.settings import network_rules
from tests.support.connect_proxy import connect_proxy
from tests.support.reverse_proxy import OK, reverse_proxy

_URL = "wss://room.example"
_PROXY = "http://user:zqpassword@proxy.example:3128"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("url", ("wss://room.example", "ws://room.example", "https://tokens.example/t"))
def test_the_configurations_proxy_comes_before_the_environments(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://other.example:1")
    found = NetworkRules(proxy=_PROXY).settings()
    assert str(proxy_for(url, found)) == "proxy.example:3128"
    assert host_to_reach(url, found) == "proxy.example"
    sent = sdk_variables(url, found)
    assert {value for value in sent.values() if value} == {_PROXY}
    assert str(proxy_for(_URL, NetworkRules().settings())) == "other.example:1"


def test_no_proxy_of_the_configuration_replaces_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "room.example")
    assert proxy_for(_URL, NetworkRules(proxy=_PROXY).settings()) is None
    assert proxy_for(_URL, NetworkRules(proxy=_PROXY, no_proxy="other").settings()) is not None
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example:1")
    assert proxy_for(_URL, NetworkRules(no_proxy="*").settings()) is None


def test_the_sdk_gets_every_variable_so_that_no_other_proxy_remains() -> None:
    assert set(sdk_variables(_URL, {})) >= {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}
    assert not any(sdk_variables(_URL, {}).values())


def test_a_file_with_the_proxy_is_read_again_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    found = NetworkRules(proxy_file=file)
    with pytest.raises(ProxyError, match=r"^network.proxy_file: .*proxy: cannot be read: No such file"):
        proxy_for(_URL, found.settings())
    file.write_text(f"{_PROXY}\n")
    assert proxy_for(_URL, found.settings()) is not None
    file.write_text("socks5://zq:zqzqzq@h")
    with pytest.raises(ProxyError, match=r"^network.proxy_file is not an HTTP proxy; allowed") as caught:
        proxy_for(_URL, found.settings())
    assert "zq" not in str(caught.value)


def test_a_systemd_credential_is_used_if_the_configuration_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "livekit_proxy").write_text("http://of-systemd.example:3128\n")
    assert str(proxy_for(_URL, network_rules(Network(), tmp_path).settings())) == "of-systemd.example:3128"
    own = network_rules(Network.model_validate({"proxy": _PROXY}), tmp_path)
    assert str(proxy_for(_URL, own.settings())) == "proxy.example:3128"


@pytest.mark.parametrize(
    ("values", "said"),
    (
        ({"proxy": "socks5://u:zqpw@h:1"}, "is not an HTTP proxy; allowed is"),
        ({"proxy": "http://u:zq pw@h:1"}, "a character that the LiveKit SDK cannot send"),
        ({"proxy": "http://:1"}, "is not a URL"),
        ({"proxy": "http://h:1", "proxy_file": "/f"}, "both set"),
        ({"no_proxy": "a;b"}, "with commas between them"),
        ({"relay": "never"}, "'auto' or 'always'"),
        ({"ca_file": "https://h/ca.pem"}, "is a URL"),
    ),
)
def test_wrong_values_are_refused_without_the_value(values: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Network.model_validate(values)
    texts = [each["msg"] for each in caught.value.errors()]
    assert any(said in each for each in texts), texts
    assert "zq" not in "".join(texts)


def test_the_password_is_in_no_text() -> None:
    network = Network.model_validate({"proxy": _PROXY})
    found = network_rules(network, None)
    assert "zqpassword" not in f"{network!r} {found!r} {proxy_for(_URL, found.settings())!r}"
    assert "zqpassword" not in redacted(f"a message with zqpassword and {_PROXY}")


def test_other_rules_apply_only_inside(tmp_path: Path) -> None:
    async def scenario() -> None:
        with rules.instead(NetworkRules(no_proxy="inside")):
            inside = asyncio.create_task(asyncio.to_thread(rules.current))
        assert rules.current().no_proxy == ""
        assert (await inside).no_proxy == "inside"

    asyncio.run(scenario())
    missing = str(tmp_path / "ca.pem")
    with (
        rules.instead(NetworkRules(ca_file=missing)),
        pytest.raises(tls.AuthoritiesError, match=r"network.ca_file: .*ca.pem cannot be read: No such file"),
    ):
        tls.context()
    Path(missing).write_text("no certificate")
    with rules.instead(NetworkRules(ca_file=missing)), pytest.raises(tls.AuthoritiesError, match="has no certificate"):
        tls.context()


def test_a_token_endpoint_is_asked_through_the_configurations_proxy() -> None:
    async def main() -> None:
        async with (
            connect_proxy(names={"tokens.hidden": "127.0.0.1"}, credentials="user:zqpassword") as proxy,
            reverse_proxy({"": OK}) as site,
        ):
            with rules.instead(NetworkRules(proxy=f"http://user:zqpassword@127.0.0.1:{proxy.port}")):
                url = f"http://tokens.hidden:{site.port}/"
                async with http_session(None, within_s=5) as session, session.get(url) as answer:
                    assert answer.status == 200
            assert proxy.asked == [f"tokens.hidden:{site.port}"]

    asyncio.run(main())


_ROOM = '[room]\nurl = "wss://h"\nname = "r"\n[credentials]\napi_key = "k"\napi_secret = "zqsecretzq"\n'


def test_the_boot_partitions_proxy_becomes_a_credential(tmp_path: Path) -> None:
    path = tmp_path / "livekit-device.toml"
    content = interpreted(path, f'{_ROOM}[network]\nproxy = "{_PROXY}"\nno_proxy = ".example"\n'.encode())
    assert content.proxy == _PROXY
    assert "zqpassword" not in f"{content.config_text} {content!r}"
    assert 'no_proxy = ".example"' in content.config_text
    with pytest.raises(ConfigError, match=r"network.ca_file: must begin with /"):
        interpreted(path, f'{_ROOM}[network]\nca_file = "ca.pem"\n'.encode())


def test_a_report_and_the_printed_configuration_have_no_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(f'{_ROOM}[network]\nproxy = "{_PROXY}"\n')
    for option in ((), ("--json",)):
        assert cli.main(["config", "--config", str(path), *option]) == 0
    assert "zqpassword" not in capsys.readouterr().out
    (tmp_path / "file").write_text("http://u:zq-of-file@h:1\n")
    path.write_text('[network]\nproxy_file = "file"\n')
    learn(path, {"DEVICE_NETWORK__PROXY": "http://u:zq-of-variable@h:1"})
    assert "zq-" not in redacted("a text with zq-of-file and zq-of-variable")
    assert "zqpassword" not in json.dumps(masked({"network": {"proxy": _PROXY}}))
