"""Rate limits of SIP messages by source address, applied before they are parsed."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

BURST_SECONDS: Final = 2.0
"""Size of a bucket: what the rate allows in this time."""
MESSAGES_PER_REQUEST: Final = 20
"""Messages of any kind that are allowed for each request in `_BEGINNINGS`."""
TRUNK_FACTOR: Final = 10
"""Factor of the limits of trunks."""
MAX_ADDRESSES: Final = 4096
"""Buckets; the least recently used is dropped."""

_BEGINNINGS: Final = (b"INVITE ", b"OPTIONS ", b"REGISTER ", b"SUBSCRIBE ", b"MESSAGE ")


@dataclass(slots=True)
class _Bucket:
    """What an address may still send, as of a time."""

    at: float
    requests: float
    messages: float


class SipRate:
    """Token buckets by address; IPv6 addresses by /64, which one host has to itself."""

    def __init__(self, per_second: float, *, known: Callable[[str], bool]) -> None:
        """`known` says whether an address is a trunk's."""
        self._per_second = per_second
        self.known = known
        self._buckets: dict[str, _Bucket] = {}

    def admits(self, data: bytes, address: str, now: float) -> bool:
        """Spend the tokens of a message; return False if there are none."""
        rate = self._per_second * (TRUNK_FACTOR if self.known(address) else 1)
        key = _owner(address)
        bucket = self._buckets.pop(key, None) or _full(rate, now)
        self._buckets[key] = bucket
        if len(self._buckets) > MAX_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        elapsed, bucket.at = max(0.0, now - bucket.at), now
        bucket.requests = min(rate * BURST_SECONDS, bucket.requests + elapsed * rate)
        bucket.messages = min(
            rate * MESSAGES_PER_REQUEST * BURST_SECONDS,
            bucket.messages + elapsed * rate * MESSAGES_PER_REQUEST,
        )
        begins = data.startswith(_BEGINNINGS)
        if bucket.messages < 1 or (begins and bucket.requests < 1):
            return False
        bucket.messages -= 1
        if begins:
            bucket.requests -= 1
        return True


def _full(rate: float, now: float) -> _Bucket:
    return _Bucket(now, rate * BURST_SECONDS, rate * MESSAGES_PER_REQUEST * BURST_SECONDS)


def _owner(address: str) -> str:
    if ":" not in address:
        return address
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network(f"{parsed}/64", strict=False))
