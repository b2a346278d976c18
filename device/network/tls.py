"""TLS: trusted certificate authorities, and texts for TLS errors with a remedy."""

from __future__ import annotations

import datetime
import functools
import re
import ssl
from typing import Any

from device.errors import system_text
from device.network import rules

_MAX_NAMES = 4
_NAME = re.compile(r"[\w.*:-]{1,253}")
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_ADD_ISSUER = (
    "put its issuer's CA certificate into /usr/local/share/ca-certificates and run update-ca-certificates, or name "
    "the file in network.ca_file"
)
# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_REFUSED = {
    2: f"has a certificate of an unknown issuer; {_ADD_ISSUER}",
    18: f"has a self-signed certificate; {_ADD_ISSUER}",
    19: f"has a certificate of an unknown issuer; {_ADD_ISSUER}",
    20: f"has a certificate of an unknown issuer; {_ADD_ISSUER}, or let the server send the whole chain",
    21: f"has a certificate of an unknown issuer; {_ADD_ISSUER}, or let the server send the whole chain",
    23: "has a certificate that is revoked; renew it on the server",
    24: "has a certificate whose issuer is no CA; renew it on the server",
    26: "has a certificate that is not for servers; renew it on the server",
    66: "has a certificate whose key is too weak; renew it on the server",
    67: "has a certificate whose issuer's key is too weak; renew it on the server",
    68: "has a certificate whose signature is too weak; renew it on the server",
}
# Reasons of OpenSSL's sslerr.h.
_NO_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "INVALID_RECORD_TYPE",
    }
)
_TOO_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"})
_CLIENT_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "CERTIFICATE_REQUIRED"})
_REASON = re.compile(r"[A-Z0-9_]+")


class AuthoritiesError(Exception):
    """The file of network.ca_file cannot be used. The text names it."""


def context() -> ssl.SSLContext:
    """Return the context of all connections.

    It trusts those in network.ca_file, else those in SSL_CERT_FILE, else the system's. Raises AuthoritiesError.
    """
    return _cached(rules.current().ca_file)


@functools.cache
def _cached(ca_file: str) -> ssl.SSLContext:
    return _trusting(ca_file)


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError:
        raise AuthoritiesError(f"network.ca_file: {ca_file} has no certificate in PEM") from None
    except OSError as error:
        raise AuthoritiesError(f"network.ca_file: {ca_file} cannot be read: {system_text(error)}") from None


def context_without_names() -> ssl.SSLContext:
    """Return a context with the same authorities that accepts any host name, to read a certificate's names."""
    context_ = _trusting(rules.current().ca_file)
    context_.check_hostname = False
    return context_


def forget_authorities() -> None:
    """Make the next connection load the authorities again, because one may have been added."""
    _cached.cache_clear()


def is_wrong_name(error: ssl.SSLError) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _WRONG_NAME


def error_text(error: ssl.SSLError, *, host: str, names: tuple[str, ...] = ()) -> str:
    """Return what is wrong with a server's TLS, as text; `names` are those in its certificate, if known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL's own message, from its fixed table (X509_verify_cert_error_string).
        message = (error.verify_message or "").rstrip(".").partition(",")[0]
        return _certificate(error.verify_code, host, names) + (f" ({message})" if message else "")
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "answers, but not in TLS; is it a port for ws:// (or http://) instead?"
    if reason in _TOO_OLD:
        return "speaks a version of TLS that is too old; allowed is TLS 1.2 or newer"
    if reason in _CLIENT_CERTIFICATE:
        return "wants a certificate of this device; that is not supported"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closes the connection in the TLS handshake"
    known = reason.lower().replace("_", " ") if _REASON.fullmatch(reason) else "unknown"
    return f"cannot be reached: TLS fails ({known})"


def _certificate(code: int, host: str, names: tuple[str, ...]) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if code == _NOT_YET_VALID:
        return f"has a certificate that is not valid yet by this clock ({now}); is this clock right? (timedatectl)"
    if code == _EXPIRED:
        return f"has a certificate that expired by this clock ({now}); renew it on the server, or set this clock"
    if code in _WRONG_NAME:
        theirs = f"for {', '.join(names)}" if names else "for another name"
        return f"has a certificate {theirs}, not for {host}; use the name in the certificate"
    return _REFUSED.get(code, f"has a certificate that is refused (OpenSSL's code {code})")


def names_of(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Return the first names of a certificate that are printable host names."""
    names = [str(value) for _, value in certificate.get("subjectAltName", ())]
    return tuple(name for name in names if _NAME.fullmatch(name))[:_MAX_NAMES]
