"""The SIP messages that wait for another node of the machine: known trunks have a share of their own."""

from collections import deque
from typing import Final, Generic, TypeVar

MAX_WAITING: Final = 1000
"""Messages in one share; more are dropped."""
MAX_WAITING_BYTES: Final = 2 * 1024 * 1024
"""In one share."""
MAX_BATCH: Final = 50
MAX_BATCH_BYTES: Final = 256 * 1024
"""A batch ends with the message that reaches it."""

Item = TypeVar("Item")


class _Share(Generic[Item]):
    def __init__(self) -> None:
        self.waiting: deque[tuple[Item, int]] = deque()
        self.octets = 0


class SipQueue(Generic[Item]):
    """Messages in order, in two shares: those from and to known trunks, and all others."""

    def __init__(self) -> None:
        self._shares: tuple[_Share[Item], _Share[Item]] = (_Share(), _Share())

    def __bool__(self) -> bool:
        return any(share.waiting for share in self._shares)

    def put(self, item: Item, octets: int, *, known: bool) -> bool:
        """Add a message of a known trunk or of anybody; return False if its share is full."""
        share = self._shares[known]
        if len(share.waiting) >= MAX_WAITING or share.octets + octets > MAX_WAITING_BYTES:
            return False
        share.waiting.append((item, octets))
        share.octets += octets
        return True

    def take(self) -> list[Item]:
        """Return the messages of the next batch, taken from both shares in turn."""
        batch: list[Item] = []
        octets = 0
        while self and len(batch) < MAX_BATCH and octets < MAX_BATCH_BYTES:
            for share in self._shares:
                if share.waiting:
                    item, size = share.waiting.popleft()
                    share.octets -= size
                    octets += size
                    batch.append(item)
        return batch
