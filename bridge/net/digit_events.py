"""Events that hold digits, which are removed from the log some time after the end of their call.

Digits may be a PIN or a card number. The event stays with empty digits; one that waits for a webhook keeps
them until it is delivered. Every function runs within a `Database` work.
"""

from sqlite3 import Connection
from typing import Final

import msgspec

from bridge.wire.call_event import CallEvent

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS digit_events (
    event INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL,
    ended_at REAL
);
CREATE INDEX IF NOT EXISTS digits_of_call ON digit_events (call_id) WHERE ended_at IS NULL;
"""
FIELDS: Final = ("digit", "digits")
PAGE: Final = 500


def note(connection: Connection, number: int, event: CallEvent) -> None:
    """Record an event that holds digits of a call."""
    if event.call is None or not any(event.data.get(field) for field in FIELDS):
        return
    ended_at = event.at.timestamp() if event.call.reason else None
    connection.execute(
        "INSERT INTO digit_events VALUES (?, ?, ?)", (number, event.call.id, ended_at)
    )


def call_ended(connection: Connection, call_id: str, at: float) -> None:
    """Record when a call ended."""
    connection.execute(
        "UPDATE digit_events SET ended_at = ? WHERE call_id = ? AND ended_at IS NULL", (at, call_id)
    )


def forget(connection: Connection, *, ended_before: float) -> None:
    """Remove the digits from a page of events of calls that ended before, unless a delivery waits."""
    rows = connection.execute(
        "SELECT d.event, e.body FROM digit_events d LEFT JOIN events e ON e.seq = d.event "
        "WHERE d.ended_at <= ? AND NOT EXISTS "
        "(SELECT 1 FROM deliveries WHERE event = d.event AND dead_at IS NULL) LIMIT ?",
        (ended_before, PAGE),
    ).fetchall()
    for number, body in rows:
        if body is not None:
            event = msgspec.json.decode(body, type=CallEvent)
            kept = {name: "" if name in FIELDS else text for name, text in event.data.items()}
            without = msgspec.structs.replace(event, data=kept)
            connection.execute(
                "UPDATE events SET body = ? WHERE seq = ?", (msgspec.json.encode(without), number)
            )
        connection.execute("DELETE FROM digit_events WHERE event = ?", (number,))
