"""What the receiver was told, held against what the callers did."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ONCE = ("call.initiated", "call.ringing", "call.answered", "call.active", "call.ended")
"""What happens once to a call that is answered, in this order."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One webhook as it came."""

    id: str
    type: str
    call: str
    data: Mapping[str, Any]
    at: float
    """Unix seconds."""


def read(file: Path) -> list[Delivered]:
    """Return all webhooks, as they came; one that came twice is there twice."""
    if not file.exists():
        return []
    # The last line may be half written.
    rows = [json.loads(line) for line in file.read_text().split("\n")[:-1]]
    return [Delivered(row["id"], row["type"], row["call"], row["data"], row["at"]) for row in rows]


def ends(delivered: Sequence[Delivered]) -> dict[str, str]:
    """Return why each call ended, by its id."""
    return {one.call: one.data["reason"] for one in delivered if one.type == "call.ended"}


def faults(
    delivered: Sequence[Delivered], expected: Mapping[str, str], *, unsure: Sequence[str] = ()
) -> list[str]:
    """Return what is missing, doubled, out of order or wrong.

    Args:
        delivered: All that came.
        expected: Why each call that was talked in must have ended, by its id.
        unsure: Calls that may have ended before they were answered.
    """
    found = []
    first: dict[str, Delivered] = {}
    for one in delivered:
        first.setdefault(one.id, one)
    kept = list(first.values())
    for call in {one.call for one in kept if one.call} | set(expected):
        types = [one.type for one in kept if one.call == call]
        for name in ONCE:
            if types.count(name) > 1:
                found.append(f"{call}: {types.count(name)} different {name}")
            elif name not in types and (name == "call.ended" or call in expected):
                found.append(f"{call}: {name} is missing")
        known = [name for name in types if name in ONCE]
        if call not in unsure and known != [name for name in ONCE if name in known]:
            found.append(f"{call}: out of order: {', '.join(known)}")
    for call, reason in ends(kept).items():
        if expected.get(call, reason) != reason:
            found.append(f"{call}: ended as {reason}, not {expected[call]}")
    return found
