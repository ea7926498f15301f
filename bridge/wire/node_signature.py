"""The signatures of nodes on different machines: of their requests to each other, and of their rows in the database.

`Bridge-Node: v1 <sender> <target> <expiry> <nonce> <hmac-sha256>`: the nodes' numbers, Unix seconds, 32
hexadecimal digits, and an HMAC-SHA256 (RFC 2104) by the machines' common secret over these, the boot id of the target,
the method, the request target as sent, and the SHA-256 of the body (of nothing for a WebSocket).
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEADER: Final = "Bridge-Node"
LIFETIME_SECONDS: Final = 30
SKEW_SECONDS: Final = 5
"""How far the clocks of two nodes may differ; both read the database's."""
_HEADER: Final = re.compile(
    r"v1 ([0-9]{1,3}) ([0-9]{1,3}) ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})"
)


class Refusal(StrEnum):
    """Why a request is not taken for a sibling's."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    TARGET = "target"
    """It is for a node that is not here, or is gone."""
    FULL = "full"
    """Too many nonces are remembered."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed of a request."""

    method: str
    target: str
    """Path and query as they are sent."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class NodeSignature:
    """What the header says."""

    sender: int
    target: int
    expires: int
    nonce: str
    mac: str = ""

    def signed(self, request: Request, *, boot: str, secret: str) -> str:
        """Return the header's value with the signature of a request to the process `boot`."""
        mac = self._mac(request, boot, secret)
        return f"v1 {self.sender} {self.target} {self.expires} {self.nonce} {mac}"

    def signs(self, request: Request, *, boot: str, secret: str) -> bool:
        """Return whether it is the signature of a request to the process `boot`, by that secret."""
        return hmac.compare_digest(self._mac(request, boot, secret), self.mac)

    def fresh(self, now: float) -> bool:
        """Return whether it was made within the last seconds; `now` is Unix time."""
        return now - SKEW_SECONDS <= self.expires <= now + LIFETIME_SECONDS + SKEW_SECONDS

    def _mac(self, request: Request, boot: str, secret: str) -> str:
        signed = (
            f"bridge node v1\n{self.sender}\n{self.target}\n{self.expires}\n{self.nonce}\n{boot}\n"
            f"{request.method}\n{request.target}\n{hashlib.sha256(request.body).hexdigest()}"
        )
        key, text = secret.encode(), signed.encode("utf-8", "surrogateescape")
        return hmac.new(key, text, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What is signed of a node's row in the database: where its siblings send requests, for one lease."""

    machine: str
    boot: str
    url: str
    until: float
    """When the lease runs out: an old row, written again, is signed for a lease that has run out."""

    def signature(self, secret: str) -> str:
        """Return the HMAC-SHA256, in hexadecimal digits."""
        signed = f"bridge node row v1\n{self.machine}\n{self.boot}\n{self.url}\n{self.until:.3f}"
        return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()


def parse(header: str) -> NodeSignature | None:
    """Read the header's value; None if it is none."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    sender, target, expires, nonce, mac = match.groups()
    return NodeSignature(int(sender), int(target), int(expires), nonce, mac)
