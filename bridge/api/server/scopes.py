"""Keys that open one thing only: the metrics, a line's gateway webhook, the admin routes, the console, or what is this machine's own."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bridge.call.model import LineName

METRICS: Final = "/metrics"
ADMIN: Final = "/admin"
GATEWAY: Final = "/gateway/webhook"
CONSOLE: Final = "/console"
LOCAL: Final = "/metrics and /console on this machine"
"""Of the token that is made at each start (`http.local_token`)."""


class Scope(NamedTuple):
    """What a key opens, and nothing else."""

    path: str
    line: LineName = LineName("")
    """The line of a gateway's key."""
    key_id: str = ""
    """The id of an admin or console key, for the log."""


class Scopes:
    """The keys that open one thing only, compared in constant time."""

    def __init__(
        self,
        metrics: Sequence[str],
        webhooks: Mapping[LineName, Sequence[str]],
        admin: Sequence[str],
        console: Sequence[str],
        local: str,
    ) -> None:
        """Take the keys of the settings, and the local token; "" where others than this machine reach us."""
        found = [(key, Scope(METRICS)) for key in metrics]
        found += [(key, Scope(GATEWAY, line)) for line, keys in webhooks.items() for key in keys]
        found += [(key, Scope(ADMIN, key_id=_id(key))) for key in admin]
        found += [(key, Scope(CONSOLE, key_id=_id(key))) for key in console]
        found += [(local, Scope(LOCAL))] if local else []
        self._scopes = {key.encode(): scope for key, scope in found}
        self.paths = frozenset(scope.path for scope in self._scopes.values())
        """The paths that have keys of their own."""

    def find(self, key: bytes) -> Scope | None:
        """Return what a key opens; None for other keys."""
        found = [scope for one, scope in self._scopes.items() if hmac.compare_digest(one, key)]
        return found[0] if found else None


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]
