"""Keys that open one thing only: the metrics, or a line's gateway webhook."""

import hmac
from collections.abc import Iterable, Mapping, Sequence

from bridge.call.model import LineName


class Scopes:
    """The keys that open one thing only, compared in constant time."""

    def __init__(self, metrics: Sequence[str], webhooks: Mapping[LineName, Sequence[str]]) -> None:
        self._metrics = [key.encode() for key in metrics]
        self._webhooks = {key.encode(): line for line, keys in webhooks.items() for key in keys}

    @property
    def guards_metrics(self) -> bool:
        """Whether the metrics have keys of their own."""
        return bool(self._metrics)

    def opens_metrics(self, key: bytes) -> bool:
        """Whether a key opens the metrics."""
        return _find(self._metrics, key) is not None

    def webhook_line(self, key: bytes) -> LineName | None:
        """Return the line whose engine may post its events with a key."""
        found = _find(self._webhooks, key)
        return None if found is None else self._webhooks[found]

    def purpose(self, key: bytes) -> str | None:
        """Return the path that a key opens, and nothing else; None for other keys."""
        if self.opens_metrics(key):
            return "/metrics"
        return "/gateway/webhook" if self.webhook_line(key) else None


def _find(keys: Iterable[bytes], wanted: bytes) -> bytes | None:
    found = None
    for key in keys:
        if hmac.compare_digest(key, wanted):
            found = key
    return found
