"""Keys that open one thing only: the metrics, a line's gateway webhook, or the admin routes."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence

from bridge.call.model import LineName


class Scopes:
    """The keys that open one thing only, compared in constant time."""

    def __init__(
        self,
        metrics: Sequence[str],
        webhooks: Mapping[LineName, Sequence[str]],
        admin: Sequence[str] = (),
    ) -> None:
        """Take the keys; without any in `admin` there are no admin routes."""
        self._admin = [key.encode() for key in admin]
        self._metrics = [key.encode() for key in metrics]
        self._webhooks = {key.encode(): line for line, keys in webhooks.items() for key in keys}

    @property
    def guards_metrics(self) -> bool:
        """Whether the metrics have keys of their own."""
        return bool(self._metrics)

    def opens_metrics(self, key: bytes) -> bool:
        """Whether a key opens the metrics."""
        return _find(self._metrics, key) is not None

    @property
    def has_admin(self) -> bool:
        """Whether there is an admin credential."""
        return bool(self._admin)

    def admin_id(self, key: bytes) -> str | None:
        """Return an admin key's id for the log; None for other keys."""
        found = _find(self._admin, key)
        return None if found is None else hashlib.sha256(found).hexdigest()[:16]

    def webhook_line(self, key: bytes) -> LineName | None:
        """Return the line whose engine may post its events with a key."""
        found = _find(self._webhooks, key)
        return None if found is None else self._webhooks[found]

    def purpose(self, key: bytes) -> str | None:
        """Return the path that a key opens, and nothing else; None for other keys."""
        if self.opens_metrics(key):
            return "/metrics"
        if self.admin_id(key) is not None:
            return "/admin"
        return "/gateway/webhook" if self.webhook_line(key) else None


def _find(keys: Iterable[bytes], wanted: bytes) -> bytes | None:
    found = None
    for key in keys:
        if hmac.compare_digest(key, wanted):
            found = key
    return found
