"""A signed repository on the loopback, with a key that lives as long as the repository."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from debian.repository import publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.install.packages import Package

_KEY = ("--batch", "--passphrase", "", "--quick-generate-key", "livekit-device install test", "ed25519", "sign", "1d")


class Repository:
    """What `make apt-repo` makes; `sources` is the file for the machines."""

    def __init__(self, folder: Path, *, key: str, url: str) -> None:
        self._folder, self._key, self._url = folder, key, url
        self.sources = Path()

    def add(self, package: Package) -> None:
        self.sources = publish(self._folder, [package.path], key=self._key, url=self._url)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # its own name of it  # noqa: A002
        pass


@contextmanager
def repository(package: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Serve a repository with a package in it."""
    with tempfile.TemporaryDirectory(prefix="livekit-device-apt-") as scratch:
        home, folder = Path(scratch, "gpg"), Path(scratch, "apt")
        home.mkdir(mode=0o700)
        monkeypatch.setenv("GNUPGHOME", str(home))
        handler = functools.partial(_Quiet, directory=str(folder))
        with _key(home) as key, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, name="repository")
            thread.start()
            try:
                made = Repository(folder, key=key, url=f"http://127.0.0.1:{server.server_port}/")
                made.add(package)
                yield made
            finally:
                server.shutdown()
                thread.join()


@contextmanager
def _key(home: Path) -> Iterator[str]:
    """Make a key; in the end gpg's agent goes with it. Gives its fingerprint."""
    environment = {**os.environ, "GNUPGHOME": str(home)}
    try:
        subprocess.run(("gpg", *_KEY), env=environment, check=True, capture_output=True)
        listed = ("gpg", "--with-colons", "--list-secret-keys")
        text = subprocess.run(listed, env=environment, check=True, capture_output=True, text=True).stdout
        yield next(line.split(":")[9] for line in text.splitlines() if line.startswith("fpr:"))
    finally:
        subprocess.run(("gpgconf", "--kill", "all"), env=environment, check=True, capture_output=True)
