"""Who hears whom: the default rows of the routing table.

The role of each leg says what it hears and who hears it. A far party hears every leg meant for it that is
not muted, and the other far parties; while it is held, only what is meant for that. Mute, hold and the
wait for a transfer are nothing but other rows.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bridge.call.model import LegId, LegOwner, Party

TONE: Final = LegId("tone")
"""The ring-back tone, a source that belongs to no leg."""


class Hears(StrEnum):
    """What a leg hears; a far party's row follows from `Heard` of the others."""

    NOBODY = "nobody"
    OTHERS = "others"
    """Every other party's voice; no playback."""
    INBOUND = "inbound"
    """The far parties."""
    OUTBOUND = "outbound"
    """Exactly what the far parties are sent, without each other's voices."""
    BOTH = "both"
    """The far parties, and what they are sent."""


class Heard(StrEnum):
    """Who hears a leg."""

    NOBODY = "nobody"
    FAR = "far"
    """The far party alone."""
    ALL = "all"
    """The far party, and all who hear `Hears.OTHERS`."""
    HELD = "held"
    """Parties that are held."""
    WAITING = "waiting"
    """Parties that wait for the one they are transferred to."""
    ARRIVING = "arriving"
    """The party that a call is transferred to, once it has answered and before it talks."""


@dataclass(frozen=True, slots=True)
class LegRole:
    """What a leg is to its call; fixed when it is added."""

    party: Party
    hears: Hears = Hears.OTHERS
    """Ignored for the far party."""
    heard: Heard = Heard.ALL
    replaces: bool = False
    """Whether the other near legs, or the leg `in_place_of`, leave once this one is connected."""
    in_place_of: LegId | None = None
    """The far party that asked to be replaced by this one."""
    talk_seconds: float = math.inf
    """Longest talk of a party that joins a call, from its answer on; then it leaves."""
    ducking_gain: float = 1.0
    """0 to 1, applied to the voices heard beside it while it speaks."""
    owner: LegOwner | None = None
    """Whose ticket made it; None when the line's key did."""
    caller: bool = False
    """Whether it is the telephone that the call is made from: the far party waits for its answer, and the call
    ends when it leaves."""
    asked_for: bool = True
    """Whether somebody asked for it; not for a recorder that the line starts by itself."""


class Standing(StrEnum):
    """How a party stands to the conversation of its call."""

    TALKS = "talks"
    HELD = "held"
    """Hears `Heard.HELD`, and nobody hears it."""
    WAITS = "waits"
    """For the party it is transferred to; hears what `routing_table` is given for it."""
    ARRIVES = "arrives"
    """Has been rung and does not talk yet: hears `Heard.ARRIVING`."""


APART: Final = frozenset({Standing.HELD, Standing.WAITS, Standing.ARRIVES})
"""Of these the conversation hears nothing; what listens only (a recorder, a stream) hears the first two."""


def routing_table(
    legs: Mapping[LegId, LegRole],
    *,
    muted: Collection[LegId] = (),
    held: bool = False,
    standings: Mapping[LegId, Standing] = MappingProxyType({}),
    waiting: frozenset[LegId] = frozenset(),
    ringing: frozenset[LegId] = frozenset(),
) -> dict[LegId, frozenset[LegId]]:
    """Return the sources that each sink hears.

    Args:
        legs: those that take part, and what each is.
        muted: near legs that no far party hears, and far parties that nobody hears.
        held: whether every far party is held.
        standings: of those that do not just talk.
        waiting: what those hear that wait for a transfer.
        ringing: what near persons hear beside each other, before the far party answers.
    """
    far = {leg_id for leg_id, role in legs.items() if role.party is Party.FAR}
    stand = dict.fromkeys(far, Standing.HELD) | dict(standings) if held else standings
    apart = {leg_id for leg_id in legs if stand.get(leg_id) in APART}
    audible = far - set(muted)
    talking = audible - apart
    to_far = {
        leg_id
        for leg_id, role in legs.items()
        if role.heard in (Heard.FAR, Heard.ALL) and leg_id not in {*far, *apart, *muted}
    }
    near = {leg_id for leg_id, role in legs.items() if role.heard is Heard.ALL} - far - apart
    given = {
        Standing.HELD: _meant_for(legs, Heard.HELD),
        Standing.WAITS: waiting,
        Standing.ARRIVES: _meant_for(legs, Heard.ARRIVING),
    }
    sent: set[LegId] = set()
    rows: dict[LegId, frozenset[LegId]] = {}
    for sink in far:
        row = given.get(stand.get(sink, Standing.TALKS), frozenset(to_far | talking))
        rows[sink] = row - {sink}
        sent |= row - far
    tapped = audible - {leg_id for leg_id in apart if stand.get(leg_id) is Standing.ARRIVES}
    for sink, role in legs.items():
        if sink in far:
            continue
        heard_far = tapped if role.heard is Heard.NOBODY else talking
        hears = {
            Hears.NOBODY: set[LegId](),
            Hears.OTHERS: near | talking | ringing,
            Hears.INBOUND: heard_far,
            Hears.OUTBOUND: sent,
            Hears.BOTH: heard_far | sent,
        }[role.hears]
        rows[sink] = given.get(stand.get(sink, Standing.TALKS), frozenset(hears)) - {sink}
    return rows


def _meant_for(legs: Mapping[LegId, LegRole], heard: Heard) -> frozenset[LegId]:
    return frozenset(leg_id for leg_id, role in legs.items() if role.heard is heard)
