"""What a client that trusts public authorities makes of a certificate: of a file, or of a server."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bridge.settings.model import Http, Sip

CONNECT_SECONDS: Final = 8.0
SELF_SIGNED: Final = 18
"""X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT of OpenSSL."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a client would make of a certificate."""

    distrust: str = ""
    """Why it is not trusted; empty if it is."""
    expires: datetime | None = None
    """None where it is not trusted."""
    self_signed: bool = False


def handshake(files: Http | Sip, name: str, trust: ssl.SSLContext | None = None) -> Certificate:
    """Perform a handshake in memory with the certificate of the settings; "" is any name.

    `trust` is what the client trusts, by default what this machine trusts.

    Raises:
        OSError: the files cannot be read, or do not belong together.
    """
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(files.tls_cert, files.tls_key)
    client_context = trust or ssl.create_default_context()
    client_context.check_hostname = bool(name)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(back, there, server_hostname=name or None)
    server = server_context.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return _distrusted(error)
    return Certificate(expires=_expiry(client.getpeercert()))


async def connect(
    host: str, port: int, *, name: str, trust: ssl.SSLContext | None = None
) -> Certificate:
    """Perform a handshake with a server, whose certificate is to have a name.

    Raises:
        OSError: it cannot be connected to (`TimeoutError`: it does not answer).
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                host, port, ssl=trust or True, server_hostname=name
            )
    except ssl.SSLCertVerificationError as error:
        return _distrusted(error)
    seen = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    return Certificate(expires=_expiry(seen))


def _distrusted(error: ssl.SSLCertVerificationError) -> Certificate:
    return Certificate(error.verify_message, self_signed=error.verify_code == SELF_SIGNED)


def _expiry(certificate: dict[str, Any] | None) -> datetime | None:
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
