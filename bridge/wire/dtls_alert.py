"""Alerts of a DTLS 1.2 association whose handshake another process has done (RFC 6347, RFC 5246 §7.2).

OpenSSL cannot pass an association on, but what protects its records follows from the master secret. After the
handshake of a call nothing comes but the alert that ends it.
"""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from bridge.errors import HandoverRefused
from bridge.wire.snapshot.peer import DtlsSnapshot

VERSION: Final = "DTLSv1.2"
"""OpenSSL's name of the only version that is understood."""
SEQUENCE: Final = 1 << 40
"""Of our alert: beyond whatever has been sent, which only OpenSSL knows."""

_SALT: Final = 4
_KEY_BYTES: Final = {"AES128-GCM-SHA256": (16, _SALT), "CHACHA20-POLY1305": (32, 12)}
"""Of key and implicit nonce, by what OpenSSL's name of a suite ends with (RFC 5288, RFC 7905)."""
_EXPLICIT_NONCE: Final = 8
_TAG: Final = 16
_HEADER: Final = 13
_EPOCH: Final = b"\0\1"
_ALERT: Final = 21
_WIRE_VERSION: Final = b"\xfe\xfd"
_FATAL: Final = 2
_CLOSE_NOTIFY: Final = b"\1\0"


def derive_keys(
    cipher: str, *, secret: bytes, client_random: bytes, server_random: bytes
) -> DtlsSnapshot | None:
    """Return the keys of an association (RFC 5246 §6.3); None for a suite that is not understood here."""
    for name, (key, nonce) in _KEY_BYTES.items():
        if cipher.endswith(name):
            seed = b"key expansion" + server_random + client_random
            block = _expand(secret, seed, 2 * (key + nonce))
            return DtlsSnapshot(
                cipher=cipher,
                client_key=block[:key],
                server_key=block[key : 2 * key],
                client_iv=block[2 * key : 2 * key + nonce],
                server_iv=block[2 * key + nonce :],
            )
    return None


class AlertRecords:
    """Reads the peer's alerts and writes ours."""

    def __init__(self, keys: DtlsSnapshot, role: Literal["client", "server"]) -> None:
        """Use the keys; `role` is ours.

        Raises:
            HandoverRefused: they are of no suite that is understood here.
        """
        sizes = [
            len(keys.client_key),
            len(keys.server_key),
            len(keys.client_iv),
            len(keys.server_iv),
        ]
        if sizes not in [[key, key, nonce, nonce] for key, nonce in _KEY_BYTES.values()]:
            raise HandoverRefused("the keys of a DTLS association fit no supported cipher suite")
        self.keys = keys
        client = _Protection(keys.client_key, keys.client_iv)
        server = _Protection(keys.server_key, keys.server_iv)
        self._ours, self._theirs = (client, server) if role == "client" else (server, client)

    def closes(self, datagram: bytes) -> bool:
        """Return whether a datagram has an authentic alert that ends the association."""
        alerts = (self._theirs.open(record) for record in _records(datagram))
        return any(
            alert is not None and (alert == _CLOSE_NOTIFY or alert[:1] == bytes([_FATAL]))
            for alert in alerts
        )

    def close_notify(self) -> bytes:
        """Return the record that ends the association from our side."""
        return self._ours.seal(_CLOSE_NOTIFY)


class _Protection:
    """Protects the alerts of one direction."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._explicit = _EXPLICIT_NONCE if len(iv) == _SALT else 0
        self._cipher = AESGCM(key) if self._explicit else ChaCha20Poly1305(key)
        self._iv = iv

    def open(self, record: bytes) -> bytes | None:
        """Return the alert of a record; None if it is none, or not authentic."""
        number, body = record[3:11], record[_HEADER:]
        size = len(body) - self._explicit - _TAG
        if record[0] != _ALERT or number[:2] != _EPOCH or size != len(_CLOSE_NOTIFY):
            return None
        nonce = self._nonce(body[: self._explicit], number)
        known = number + record[:3] + size.to_bytes(2, "big")
        try:
            return self._cipher.decrypt(nonce, body[self._explicit :], known)
        except InvalidTag:
            return None

    def seal(self, alert: bytes) -> bytes:
        """Return the record of an alert."""
        start = bytes([_ALERT]) + _WIRE_VERSION
        number = _EPOCH + SEQUENCE.to_bytes(6, "big")
        explicit = number[: self._explicit]
        known = number + start + len(alert).to_bytes(2, "big")
        body = explicit + self._cipher.encrypt(self._nonce(explicit, number), alert, known)
        return start + number + len(body).to_bytes(2, "big") + body

    def _nonce(self, explicit: bytes, number: bytes) -> bytes:
        if self._explicit:
            return self._iv + explicit
        return bytes(a ^ b for a, b in zip(self._iv, bytes(4) + number, strict=True))


def _records(datagram: bytes) -> Iterator[bytes]:
    """Yield the records that a datagram has whole."""
    while len(datagram) >= _HEADER:
        end = _HEADER + int.from_bytes(datagram[11:_HEADER], "big")
        if end > len(datagram):
            return
        yield datagram[:end]
        datagram = datagram[end:]


def _expand(secret: bytes, seed: bytes, size: int) -> bytes:
    """Return pseudorandom bytes (RFC 5246 §5, SHA-256)."""
    found, link = b"", seed
    while len(found) < size:
        link = hmac.new(secret, link, hashlib.sha256).digest()
        found += hmac.new(secret, link + seed, hashlib.sha256).digest()
    return found[:size]
