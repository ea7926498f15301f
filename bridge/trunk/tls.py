"""TLS of SIP: certificate and name of a trunk are verified, always (RFC 5922)."""

import ssl

from bridge.errors import SettingsError


def client_context(*, ca: str = "", cert: str = "", key: str = "") -> ssl.SSLContext:
    """Return the context of connections to trunks; `ca` is a file of authorities, the system's if empty.

    Raises:
        SettingsError: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"sip.tls_ca: cannot use {ca}: {error.strerror}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525: the subject is no host's name
    if cert:
        _load_chain(context, cert, key)
    return context


def server_context(*, cert: str, key: str) -> ssl.SSLContext:
    """Return the context of accepted connections; callers are recognized by address or digest, not by certificate.

    Raises:
        SettingsError: a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_chain(context, cert, key)
    return context


def _load_chain(context: ssl.SSLContext, cert: str, key: str) -> None:
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"sip.tls_cert, sip.tls_key: cannot use {cert} with {key}: {error.strerror}"
        ) from error
