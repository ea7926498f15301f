"""Certificates, and the DTLS handshake that yields the SRTP keys (RFC 5763, RFC 5764)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80

from bridge.errors import NegotiationFailed
from bridge.rtc import private_api, trace
from bridge.rtc.link import IceLink
from bridge.rtc.srtp import Srtp
from bridge.wire.dtls_alert import VERSION, AlertRecords, derive_keys
from bridge.wire.snapshot.peer import DtlsSnapshot

_MAX_AGE_SECONDS: Final = 86_400.0
_ALGORITHM: Final = "sha-256"
# The cheapest first; 256-bit keys cost a fifth more per packet and gain nothing here.
_PROFILES: Final = [SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed P-256 certificate with its key."""

    certificate: RTCCertificate
    fingerprint: str
    """SHA-256, upper-case hexadecimal with colons."""


class Certificates:
    """The node's certificate, replaced daily; calls keep the one they began with."""

    def __init__(self) -> None:
        self._current: Certificate | None = None
        self._made_at = 0.0

    def current(self, now: float) -> Certificate:
        """Return the certificate for new associations, made anew when it is a day old."""
        if self._current is None or now - self._made_at >= _MAX_AGE_SECONDS:
            made = private_api.DtlsCertificate.generateCertificate()
            prints = {one.algorithm: one.value for one in made.getFingerprints()}
            self._current = Certificate(made, prints[_ALGORITHM])
            self._made_at = now
        return self._current


class Dtls:
    """One DTLS association over a link.

    Its role is from the session description, never from ICE. `on_closed` is called when the peer
    closes an established association.
    """

    def __init__(
        self,
        link: IceLink,
        certificate: Certificate,
        *,
        role: Literal["client", "server"],
        on_closed: Callable[[], None],
    ) -> None:
        self._role = role
        self._on_closed = on_closed
        self._established = False
        self._transport = RTCDtlsTransport(cast("RTCIceTransport", link), [certificate.certificate])
        private_api.dtls_prepare(self._transport, role=role, profiles=_PROFILES)
        self._transport.add_listener("statechange", self._state_changed)

    async def connect(self, fingerprint: str) -> Srtp:
        """Perform the handshake, verify the peer's certificate and derive the keys.

        `fingerprint` is the certificate's SHA-256 in the peer's description.

        Raises:
            NegotiationFailed: with the reason `fingerprint`, `srtp_profile` or `handshake`.
        """
        expected = RTCDtlsFingerprint(algorithm=_ALGORITHM, value=fingerprint)
        await self._transport.start(RTCDtlsParameters(fingerprints=[expected]))
        if self._transport.state != "connected":
            raise NegotiationFailed("DTLS failed", stage="dtls", reason=self._failure())
        self._established = True
        fields = {
            "role": self._role,
            "cipher": private_api.dtls_cipher(self._transport),
            "profile": private_api.dtls_profile(self._transport).decode(),
        }
        trace.log.debug("dtls.connected", extra=fields)
        return self._keys()

    async def aclose(self) -> None:
        """Send close_notify and stop; from any state, safe to repeat."""
        self._established = False
        task = private_api.dtls_task(self._transport)
        await self._transport.stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        self._transport.remove_all_listeners()

    def snapshot(self) -> DtlsSnapshot | None:
        """Return what reads and writes the records from now on; None where only OpenSSL can."""
        secrets = private_api.dtls_secrets(self._transport)
        if secrets is None or secrets[0] != VERSION:
            return None
        _, secret, client, server = secrets
        cipher = private_api.dtls_cipher(self._transport)
        return derive_keys(cipher, secret=secret, client_random=client, server_random=server)

    def _failure(self) -> str:
        if not self._transport.encrypted:
            return "handshake"
        return "fingerprint" if private_api.dtls_profile(self._transport) else "srtp_profile"

    def _keys(self) -> Srtp:
        agreed = private_api.dtls_profile(self._transport)
        profile = next(one for one in _PROFILES if one.openssl_profile == agreed)
        length = 2 * (profile.key_length + profile.salt_length)
        material = private_api.dtls_keying_material(self._transport, length)
        private_api.dtls_discard_srtp(self._transport)
        client, server = (profile.get_key_and_salt(material, side) for side in (0, 1))
        ours, theirs = (client, server) if self._role == "client" else (server, client)
        return Srtp(profile.libsrtp_profile, send_key=ours, receive_key=theirs)

    def _state_changed(self) -> None:
        if self._established and self._transport.state == "closed":
            self._established = False
            self._on_closed()


class PassedDtls:
    """An association whose handshake another process has done; `link` and `on_closed` as those of `Dtls`.

    Without keys neither end's end is told: the other notices it by consent.
    """

    def __init__(
        self,
        link: IceLink,
        keys: DtlsSnapshot | None,
        *,
        role: Literal["client", "server"],
        on_closed: Callable[[], None],
    ) -> None:
        self._link = link
        self._keys = keys
        self._records = None if keys is None else AlertRecords(keys, role)
        self._on_closed = on_closed

    def receive(self, data: bytes) -> None:
        """Process what the peer sends."""
        if self._records is not None and self._records.closes(data):
            self._records = None
            self._on_closed()

    def snapshot(self) -> DtlsSnapshot | None:
        """Return the keys."""
        return self._keys

    async def aclose(self) -> None:
        """Send close_notify; safe to repeat."""
        records, self._records = self._records, None
        if records is not None:
            self._link.send(records.close_notify())
