"""Signing requests to nodes of other machines and the own row in the database, and checking theirs (`wire.node_signature`)."""

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from bridge.wire.node_signature import (
    LIFETIME_SECONDS,
    SKEW_SECONDS,
    NodeRow,
    NodeSignature,
    Refusal,
    Request,
)

MAX_NONCES: Final = 131_072
"""Nonces remembered, each for at most 40 s: 3000 requests a second."""


class NodeSigner:
    """The signatures of one node, by the secret that all machines have."""

    def __init__(
        self,
        *,
        node: int,
        boot: str,
        secret: str,
        former_secret: str = "",
        now: Callable[[], float],
        max_nonces: int = MAX_NONCES,
    ) -> None:
        """`former_secret` is accepted too; `now` returns Unix seconds on the clock that all nodes share."""
        self._node = node
        self._boot = boot
        self._secret = secret
        self._accepted = [secret, former_secret] if former_secret else [secret]
        self._now = now
        self._nonces = Nonces(max_nonces)

    def sign(self, request: Request, *, target: int, boot: str) -> str:
        """Return the header's value for a request to the process `boot` of a node."""
        expires = int(self._now()) + LIFETIME_SECONDS
        made = NodeSignature(self._node, target, expires, secrets.token_hex(16))
        return made.signed(request, boot=boot, secret=self._secret)

    def check(self, found: NodeSignature, request: Request) -> Refusal | None:
        """Return why a request to this node is refused; its signature is valid only once."""
        if found.target != self._node:
            return Refusal.TARGET
        refusal = self.check_signature(found, request, boot=self._boot)
        if refusal is not None:
            return refusal
        return self._nonces.use(found.nonce, found.expires + SKEW_SECONDS, now=self._now())

    def check_signature(
        self, found: NodeSignature, request: Request, *, boot: str
    ) -> Refusal | None:
        """Return why a signature is invalid for the process `boot`; a replay is not detected."""
        if not any(found.signs(request, boot=boot, secret=each) for each in self._accepted):
            return Refusal.SIGNATURE
        return None if found.fresh(self._now()) else Refusal.EXPIRED


class RowSigner:
    """The signatures of rows in the table of nodes; without a secret there are none, and none are asked for."""

    def __init__(self, secret: str = "", former_secret: str = "") -> None:
        """Sign by `secret`; accept `former_secret` too."""
        self._secret = secret
        self._accepted = [secret, former_secret] if former_secret else [secret]

    def sign(self, row: NodeRow) -> str:
        """Return the signature of this node's row."""
        return row.signature(self._secret) if self._secret else ""

    def accepts(self, row: NodeRow, signature: str) -> bool:
        """Return whether one of the machines with our secret has signed a row."""
        if not self._secret:
            return True
        return any(
            hmac.compare_digest(row.signature(each).encode(), signature.encode())
            for each in self._accepted
        )


class Nonces:
    """The nonces of the last seconds, so that each is used once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()
        self._until: deque[tuple[float, str]] = deque()

    def use(self, nonce: str, until: float, *, now: float) -> Refusal | None:
        """Remember a nonce until a time; returns why not, if it is known or there are too many."""
        while self._until and self._until[0][0] < now:
            self._known.discard(self._until.popleft()[1])
        if nonce in self._known:
            return Refusal.REPLAYED
        if len(self._known) >= self._limit:
            return Refusal.FULL
        self._known.add(nonce)
        self._until.append((until, nonce))
        return None
