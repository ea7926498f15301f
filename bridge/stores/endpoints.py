"""The endpoints that customers registered for webhooks; every function runs in a transaction."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from bridge.db.database import Connection
from bridge.errors import LimitExceeded, NotFound
from bridge.http.client import origin_of
from bridge.wire.call_event import CallEvent
from bridge.wire.webhook.formats import Format, Receiver, Style, wants

PER_LINE: Final = 50
OVERLAP_SECONDS: Final = 24 * 3600.0
"""How long a replaced secret still signs."""
MAX_FORMER: Final = 4


class FormerSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that was replaced."""

    secret: str
    until: float
    """In seconds of wall time."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line's events are sent."""

    id: str
    line: str
    url: str
    style: Style
    created_at: float
    events: tuple[str, ...] = ()
    """Names of events, see `wire.webhook.formats.wants`; empty for all."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Sent with each delivery."""
    format: Format = Format.JSON
    secret: str = ""
    """Signs deliveries; empty for none."""
    former: tuple[FormerSecret, ...] = ()
    """Replaced secrets, the latest first."""
    token: str = ""
    """The key it was registered with, which WaGo's form repeats; empty elsewhere."""
    test: bool = False
    number: str = ""
    """With `+`: it gets inbound calls for this number only; empty for all events."""
    base: str = ""
    """What the links in its deliveries begin with; empty for no links."""
    active: bool = True

    def receiver(self, link: Callable[[str, str], str]) -> Receiver:
        """What deliveries to it depend on; `link` signs a path to a recording's file."""

        def file_url(recording_id: str, file_format: str) -> str:
            return self.base and self.base + link(recording_id, file_format)

        return Receiver(self.style, self.format, self.token, self.test, file_url)

    def former_secrets(self, now: float) -> list[str]:
        """Return the former secrets that still sign."""
        return [former.secret for former in self.former if former.until > now]

    def wants(self, event: CallEvent) -> bool:
        """Return whether it gets an event."""
        if not self.active or not wants(self.events, self.style, event):
            return False
        if not self.number:
            return True
        call = event.call
        return call is not None and call.direction == "inbound" and call.to == self.number


def put(connection: Connection, endpoint: Endpoint) -> None:
    """Add an endpoint, or change the one that has its id.

    A secret that this replaces still signs deliveries to the same origin for `OVERLAP_SECONDS`.

    Raises:
        LimitExceeded: the line has all it may have.
    """
    known = {other.id: other for other in of_line(connection, endpoint.line)}
    before = known.get(endpoint.id)
    if len(known) >= PER_LINE and before is None:
        raise LimitExceeded(f"the line has {PER_LINE} webhooks already; delete some first")
    if before is not None:
        endpoint = msgspec.structs.replace(endpoint, former=_former(before, endpoint))
    connection.execute(
        "INSERT INTO endpoints VALUES (?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        (endpoint.id, endpoint.line, endpoint.created_at, msgspec.json.encode(endpoint)),
    )


def change(
    connection: Connection,
    line: str,
    endpoint_id: str,
    /,
    **changes: Any,  # noqa: ANN401
) -> Endpoint:
    """Change fields of a line's endpoint.

    Its headers are dropped when its URL moves to another origin and none come along: their values
    are never shown again, and were meant for the origin that they were set for.

    Raises:
        NotFound: the line has no such endpoint.
    """
    before = get(connection, line, endpoint_id)
    changed = msgspec.structs.replace(before, **changes)
    if "headers" not in changes and origin_of(changed.url) != origin_of(before.url):
        changed = msgspec.structs.replace(changed, headers={})
    put(connection, changed)
    return changed


def get(connection: Connection, line: str, endpoint_id: str) -> Endpoint:
    """Return a line's endpoint.

    Raises:
        NotFound: the line has no such endpoint.
    """
    found = find(connection, endpoint_id)
    if found is None or found.line != line:
        raise NotFound("there is no such webhook")
    return found


def find(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint of any line."""
    row = connection.execute("SELECT body FROM endpoints WHERE id = ?", (endpoint_id,)).fetchone()
    return msgspec.json.decode(row[0], type=Endpoint) if row else None


def of_line(connection: Connection, line: str) -> list[Endpoint]:
    """Return a line's endpoints, oldest first."""
    rows = connection.execute(
        "SELECT body FROM endpoints WHERE line = ? ORDER BY created_at, id", (line,)
    )
    return [msgspec.json.decode(body, type=Endpoint) for (body,) in rows]


def all_active(connection: Connection) -> list[Endpoint]:
    """Return the endpoints of all lines that are sent events."""
    rows = connection.execute("SELECT body FROM endpoints ORDER BY line, created_at, id")
    every = [msgspec.json.decode(body, type=Endpoint) for (body,) in rows]
    return [endpoint for endpoint in every if endpoint.active]


def delete(connection: Connection, line: str, endpoint_id: str) -> None:
    """Remove a line's endpoint, and what was still to be delivered to it.

    Raises:
        NotFound: the line has no such endpoint.
    """
    get(connection, line, endpoint_id)
    connection.execute("DELETE FROM endpoints WHERE id = ?", (endpoint_id,))
    connection.execute("DELETE FROM deliveries WHERE receiver = ?", (endpoint_id,))


def _former(before: Endpoint, after: Endpoint) -> tuple[FormerSecret, ...]:
    if origin_of(before.url) != origin_of(after.url):
        return ()
    if before.secret in ("", after.secret):
        return before.former
    latest = FormerSecret(secret=before.secret, until=after.created_at + OVERLAP_SECONDS)
    return (latest, *before.former)[:MAX_FORMER]
