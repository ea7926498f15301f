"""Keys of SRTP in SDP: `a=crypto` (RFC 4568, RFC 7714)."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.errors import SdpError
from bridge.wire.sdp.lines import Attribute, Media

SUITES: Final[Mapping[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Bytes of master key and salt of the suites that are spoken, in the order in which they are offered.

The first is the one that every peer has (RFC 4568 §6.2.1).
"""
_MIN_LIFETIME_POWER: Final = 22
_MIN_LIFETIME: Final = 1 << _MIN_LIFETIME_POWER
"""Packets. A key that lasts no longer would have to be replaced within a long call, which is not supported."""

_CRYPTO: Final = re.compile(r"([0-9]{1,9}) +([A-Za-z0-9_]+) +([^ ]+)((?: +[^ ]+)*)")
_KEY: Final = re.compile(
    r"inline:([A-Za-z0-9+/]+={0,2})(?:\|((?:2\^)?[0-9]{1,20}))?(\|[0-9]+:[0-9]+)?"
)
_HARMLESS: Final = re.compile(r"WSH=[0-9]+|-.*")
"""Session parameters that may be ignored (RFC 4568 §6.3.6 and §6.3.7)."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """What one side encrypts its packets with."""

    tag: int
    suite: str
    """One of `SUITES`."""
    key: bytes = field(repr=False)
    """Master key and salt."""


def read_cryptos(media: Media) -> tuple[Crypto, ...]:
    """Return the keys of a media line that can be used, in its order.

    Left out are unknown suites, keys of several with an identifier (MKI), session parameters that change
    the packets, and lifetimes below 2^22 packets.

    Raises:
        SdpError: A line is malformed.
    """
    return tuple(crypto for line in media.all("crypto") if (crypto := _read(line)) is not None)


def write_cryptos(cryptos: tuple[Crypto, ...]) -> Iterator[str]:
    """Write our keys, one line each."""
    for one in cryptos:
        key = base64.b64encode(one.key).decode()
        yield f"a=crypto:{one.tag} {one.suite} inline:{key}"


def _read(line: Attribute) -> Crypto | None:
    match = _CRYPTO.fullmatch(line.value)
    if match is None:
        raise SdpError("a=crypto is malformed", line=line.line)
    tag, suite, keys, parameters = match.groups()
    if suite not in SUITES or ";" in keys:
        return None
    if not all(_HARMLESS.fullmatch(one) for one in parameters.split()):
        return None
    found = _KEY.fullmatch(keys)
    if found is None:
        raise SdpError("the key of a=crypto is malformed", line=line.line)
    encoded, lifetime, mki = found.groups()
    if mki is not None or (lifetime is not None and not _lasts(lifetime)):
        return None
    return Crypto(int(tag), suite, _decode(encoded, SUITES[suite], line.line))


def _lasts(lifetime: str) -> bool:
    power = lifetime.removeprefix("2^")
    return int(power) >= (_MIN_LIFETIME if power == lifetime else _MIN_LIFETIME_POWER)


def _decode(text: str, size: int, line: int) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != size:
        raise SdpError("the key of a=crypto has the wrong length", line=line)
    return key
