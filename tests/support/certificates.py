"""A certificate authority for tests, and certificates signed by it, made with the `openssl` command."""

from __future__ import annotations

import datetime
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """\
[ca]
default_ca = test
[test]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = optional
[req]
distinguished_name = name
[name]
"""
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Authority:
    """Stores its files in a folder; `certificate` is the one that a client must trust."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    @classmethod
    def made_in(cls, folder: Path) -> Authority:
        folder.mkdir()
        (folder / "ca.cnf").write_text(_CONFIG)
        (folder / "index.txt").touch()
        authority = cls(folder)
        authority._openssl(
            *("req", "-x509", *_KEY, "-days", "3650", "-subj", "/CN=the test's authority"),
            *("-keyout", "ca.key", "-out", "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        return authority

    def context(
        self, names: str = "IP:127.0.0.1,DNS:localhost", *, from_days: int = -1, to_days: int = 30
    ) -> ssl.SSLContext:
        """Return a server's context with a certificate that is valid between these days from now."""
        stem = f"{len(list(self.folder.iterdir()))}"
        (self.folder / f"{stem}.ext").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", *_KEY, "-subj", "/CN=server", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"),
            *("-startdate", _moment(from_days), "-enddate", _moment(to_days), "-extfile", f"{stem}.ext"),
            *("-in", f"{stem}.csr", "-out", f"{stem}.pem"),
        )
        return self._serving(stem)

    def self_signed(self, names: str = "IP:127.0.0.1") -> ssl.SSLContext:
        self._openssl(
            *("req", "-x509", *_KEY, "-days", "30", "-subj", "/CN=server", "-addext", f"subjectAltName={names}"),
            *("-keyout", "self.key", "-out", "self.pem"),
        )
        return self._serving("self")

    def _serving(self, stem: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


def _moment(days: int) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
