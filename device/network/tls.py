"""TLS as this daemon speaks it: the system's certificates, and what is wrong in words."""

from __future__ import annotations

import functools
import ssl
import time

# openssl/x509_vfy.h
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _UNKNOWN_ISSUER, _NO_ISSUER = 9, 10, 18, 19, 20, 21
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_TRUST = "install the issuer's certificate (update-ca-certificates), or name it with SSL_CERT_FILE"
_NAME = "set room.url to a name that the certificate is for"
_HINTS = {
    _SELF_SIGNED: _TRUST,
    _SELF_SIGNED_IN_CHAIN: _TRUST,
    _UNKNOWN_ISSUER: _TRUST,
    _NO_ISSUER: _TRUST,
    _WRONG_NAME: _NAME,
    _WRONG_ADDRESS: _NAME,
}
_REASONS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port; is it ws:// instead of wss://?",
    "HTTP_REQUEST": "it does not speak TLS on this port; is it ws:// instead of wss://?",
    "UNEXPECTED_EOF_WHILE_READING": "it closes the connection during the handshake",
}


@functools.cache
def default_context() -> ssl.SSLContext:
    """Return what verifies servers by the system's certificates, or by $SSL_CERT_FILE."""
    return ssl.create_default_context()


def tls_error_text(error: ssl.SSLError) -> str:
    """Return what is wrong with a server's TLS, and what to do. Its texts are OpenSSL's fixed ones, and ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, message = error.verify_code, (error.verify_message or "certificate not accepted").rstrip(".")
        if code in (_NOT_YET_VALID, _EXPIRED):
            now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
            return f"TLS: {message}; is this clock ({now}) right? It is tried again until it is"
        return f"TLS: {message}; {_HINTS.get(code, _TRUST)}"
    reason = error.reason or type(error).__name__
    return f"TLS: {_REASONS.get(reason, reason.lower().replace('_', ' '))}"
