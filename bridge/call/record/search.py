"""Finding calls: what a list of calls shows of each, and the conditions of a search."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.call.diagnosis.diagnosis import Verdict
from bridge.call.model import CallId, Direction, EndReason, LineName, State
from bridge.call.parties import parties_of
from bridge.call.record.ended_call import CallReport, EndedBy, ended_by
from bridge.wire.call_id import native

_JID: Final = re.compile(r"([0-9]+)(?::[0-9]+)?@s\.whatsapp\.net")


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call as a list of calls shows it."""

    call_id: CallId
    line: LineName
    direction: Direction
    state: State
    reason: EndReason | None
    ended_by: EndedBy | None
    from_: str
    """A number with `+`, or an identifier; so is `to`."""
    to: str
    from_channel: str
    to_channel: str
    identities: tuple[str, ...]
    """Of those who joined with a ticket."""
    tag: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    seconds: float
    mos: float | None
    verdict: Verdict
    problems: tuple[str, ...]
    """Codes, each once."""
    sent_to_voicemail: bool = False

    @property
    def key(self) -> tuple[float, str]:
        """Its place among all calls: when it began, in Unix seconds, and its id."""
        return self.started_at.timestamp(), self.call_id

    @property
    def ring_seconds(self) -> float:
        """From its start to the answer, or to the end of one that was not answered."""
        if self.answered_at is None:
            return self.seconds
        return max(0.0, (self.answered_at - self.started_at).total_seconds())

    @property
    def talk_seconds(self) -> float:
        """From the answer on."""
        return 0.0 if self.answered_at is None else max(0.0, self.seconds - self.ring_seconds)

    @property
    def words(self) -> str:
        """What `CallSearch.text` is searched in."""
        parts = (self.from_, self.to, self.tag, self.call_id, *self.identities)
        return "\n".join(parts).lower()


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
        """The text as it stands in `CallEntry.words`; an id in any form is the native one."""
        return (native(self.text) or self.text).lower()

    def matches(self, entry: CallEntry) -> bool:
        """Whether a call meets all conditions."""
        at = entry.started_at.timestamp()
        return (
            self.line in (None, entry.line)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and self.from_ in ("", party_key(entry.from_))
            and self.to in ("", party_key(entry.to))
            and self.direction in (None, entry.direction)
            and self.state in (None, entry.state)
            and self.reason in (None, entry.reason)
            and (not self.problem or self.problem in entry.problems)
            and (self.max_mos is None or (entry.mos is not None and entry.mos <= self.max_mos))
            and self.wanted_text in entry.words
        )


def party_key(party: str) -> str:
    """Return a party as searches compare it: a number in digits, whether with `+` or as a JID; else lower case."""
    text = party.strip().lower()
    if match := _JID.fullmatch(text):
        return match[1]
    digits = text.removeprefix("+")
    return digits if digits.isdigit() else text


def entry_of(report: CallReport) -> CallEntry:
    """Return a call as a list shows it."""
    record = report.record
    facts, who = record.facts, parties_of(record)
    identities = dict.fromkeys(leg.identity for leg in record.legs if leg.identity)
    return CallEntry(
        facts.call_id,
        facts.line,
        record.direction,
        record.state,
        record.reason,
        ended_by(record),
        who.from_,
        who.to,
        who.from_channel,
        who.to_channel,
        tuple(identities),
        facts.details.tag,
        facts.started_at,
        record.answered_at,
        record.ended_at,
        record.seconds,
        report.mos,
        report.diagnosis.verdict,
        report.diagnosis.codes,
        record.sent_to_voicemail,
    )
