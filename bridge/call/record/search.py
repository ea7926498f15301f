"""Finding calls: the conditions of a search."""

import re
from dataclasses import dataclass
from typing import Final

from bridge.call.model import Direction, EndReason, LineName, State
from bridge.call.view import CallView
from bridge.wire.call_id import native

_JID: Final = re.compile(r"([0-9]+)(?::[0-9]+)?@s\.whatsapp\.net")


@dataclass(frozen=True, slots=True)
class CallSearch:
    """Conditions of a search; a field that is None or empty is none."""

    line: LineName | None = None
    """None for the calls of all lines."""
    since: float | None = None
    """Unix seconds of the earliest start."""
    until: float | None = None
    """Calls that began at this moment or later are left out."""
    from_: str = ""
    to: str = ""
    direction: Direction | None = None
    state: State | None = None
    reason: EndReason | None = None
    problem: str = ""
    """The code of a problem that the call has or had."""
    max_mos: float | None = None
    """A direction of a leg has a mean score of at most this."""
    text: str = ""
    """Part of a number, an identity, the tag or the id, upper or lower case."""

    @property
    def wanted_text(self) -> str:
        """The text as it stands in `CallView.words`; an id in any form is the native one."""
        return (native(self.text) or self.text).lower()

    def matches(self, call: CallView) -> bool:
        """Whether a call meets all conditions."""
        at = call.started_at.timestamp()
        return (
            self.line in (None, call.line)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and self.from_ in ("", party_key(call.from_))
            and self.to in ("", party_key(call.to))
            and self.direction in (None, call.direction)
            and self.state in (None, call.state)
            and self.reason in (None, call.reason)
            and (not self.problem or self.problem in call.problems)
            and (self.max_mos is None or (call.mos is not None and call.mos <= self.max_mos))
            and self.wanted_text in call.words
        )


def party_key(party: str) -> str:
    """Return a party as searches compare it: a number in digits, whether with `+` or as a JID; else lower case."""
    text = party.strip().lower()
    if match := _JID.fullmatch(text):
        return match[1]
    digits = text.removeprefix("+")
    return digits if digits.isdigit() else text
