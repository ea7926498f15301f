"""The query of `GET /calls`: conditions, cursor and format."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from msgspec import Struct

from bridge.api.server.fields import Json, field, wrong_field
from bridge.call.diagnosis.problems import Code
from bridge.call.model import Direction, EndReason, LineName, State
from bridge.call.record.search import CallSearch, party_key
from bridge.stores.calls import Cursor

MAX_PAGE: Final = 500
_CURSOR: Final = re.compile(r"([0-9]{1,10}\.[0-9]{1,9})_([0-9A-F]{32})")


def _read_moment(value: Json, name: str) -> Json:
    if _moment(value) is None:
        raise wrong_field(
            name, "expected a time in ISO 8601, such as 2026-01-31T12:00:00Z, or Unix seconds"
        )
    return value


def _read_cursor(value: Json, name: str) -> Json:
    if not (isinstance(value, str) and _CURSOR.fullmatch(value)):
        raise wrong_field(name, "expected `nextCursor` of the page before")
    return value


Moment = Annotated[
    str, field("ISO 8601 (UTC where it names no zone), or Unix seconds", read=_read_moment)
]
PartyName = Annotated[
    str, field("a number with or without `+`, a JID, or an identifier", max_length=128)
]


class CallsQuery(Struct, rename={"from_": "from"}):
    """Which calls to list."""

    since: Annotated[Moment, field("the earliest start")] | None = None
    until: Annotated[Moment, field("calls that began then or later are left out")] | None = None
    from_: PartyName | None = None
    to: PartyName | None = None
    direction: Direction | None = None
    state: State | None = None
    reason: EndReason | None = None
    problem: Annotated[Code, field("the code of a problem that the call has or had")] | None = None
    max_mos: (
        Annotated[float, field("a leg was heard with a mean MOS of at most this", ge=1, le=5)]
        | None
    ) = None
    q: Annotated[str, field("part of a number, identity, tag or id", max_length=128)] | None = None
    cursor: Annotated[str, field("`nextCursor` of the page before", read=_read_cursor)] | None = (
        None
    )
    limit: Annotated[int, field("50 by default; CSV has all calls", ge=1, le=MAX_PAGE)] | None = (
        None
    )
    format: Literal["json", "csv"] = "json"

    def search(self, line: LineName | None) -> CallSearch:
        """Return the conditions, for the calls of a line or of all."""
        return CallSearch(
            line=line,
            since=_moment(self.since),
            until=_moment(self.until),
            from_=party_key(self.from_ or ""),
            to=party_key(self.to or ""),
            direction=self.direction,
            state=self.state,
            reason=self.reason,
            problem=self.problem.value if self.problem else "",
            max_mos=self.max_mos,
            text=(self.q or "").strip(),
        )

    @property
    def after(self) -> Cursor | None:
        """The place after which the page begins."""
        match = _CURSOR.fullmatch(self.cursor or "")
        return Cursor(float(match[1]), match[2]) if match else None


def cursor_of(place: Cursor) -> str:
    """Return the cursor of the page after a place."""
    return f"{place.started_at:.6f}_{place.call_id}"


def _moment(text: str | None) -> float | None:
    """Return Unix seconds of a moment in ISO 8601 or in Unix seconds; None for anything else."""
    if not isinstance(text, str):
        return None
    if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text):
        return float(text)
    # A `+` that was not encoded arrives as a space.
    text = text.replace(" ", "+") if "T" in text else text
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
