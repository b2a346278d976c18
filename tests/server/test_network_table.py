"""[network]: the daemon, `check` and the viewer's token with a real server behind a proxy and TLS of an own CA."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support import daemon as daemons
from tests.support.certificates import Authority
from tests.support.commands import command
from tests.support.connect_proxy import connect_proxy
from tests.support.reverse_proxy import reverse_proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.livekit_server import Server

_LIVE_S = 30.0
_HOST = "room.hidden"  # only the proxy resolves it


def test_all_connections_use_the_tables_proxy_and_authorities(
    server: Server, room: str, config: Path, tmp_path: Path
) -> None:
    """The environment names another proxy and another file, which lead nowhere."""
    authority = Authority.made_in(tmp_path / "ca")
    config.write_text(f'[network]\nproxy_file = "{tmp_path}/proxy"\nca_file = "{authority.certificate}"\n')

    async def scenario() -> None:
        async with (
            reverse_proxy({"": server.ports[0]}, context=authority.context(f"DNS:{_HOST}")) as site,
            connect_proxy(names={_HOST: "127.0.0.1"}, credentials="user:zqpassword") as proxy,
        ):
            (tmp_path / "proxy").write_text(f"http://user:zqpassword@127.0.0.1:{proxy.port}\n")
            variables = daemons.environment(
                server,
                room,
                DEVICE_CAMERA__SOURCE="off",
                DEVICE_ROOM__URL=f"wss://{_HOST}:{site.port}",
                HTTPS_PROXY="http://127.0.0.1:9",
                SSL_CERT_FILE="/dev/null",
            )
            with daemons.running(config, variables) as daemon:
                await asyncio.to_thread(daemon.event, "room.state", new="live", within_s=_LIVE_S)
                joined = len(proxy.asked)
                (tmp_path / "proxy").write_text("http://user:zqother@127.0.0.1:9")
                out = await asyncio.to_thread(command, "viewer-token", "--config", config, variables=variables)
                assert "the server does not answer" in out.stderr
                (tmp_path / "proxy").write_text(f"http://user:zqpassword@127.0.0.1:{proxy.port}\n")
                out = await asyncio.to_thread(command, "viewer-token", "--config", config, variables=variables)
                assert "the server does not answer" not in out.stderr
                assert len(proxy.asked) == joined + 1
                out = await asyncio.to_thread(command, "check", "--config", config, variables=variables)
                text = "".join(daemon.text)
            assert set(proxy.asked) == {f"{_HOST}:{site.port}"}
            assert "zq" not in text + out.stdout + out.stderr
            rows = {line.split()[1]: line for line in out.stdout.splitlines()}
            assert {line[0] for line in rows.values()} <= {"✓", "-"}, out.stdout
            assert f"(through the proxy 127.0.0.1:{proxy.port})" in rows["server"]

    asyncio.run(scenario())
