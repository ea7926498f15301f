"""What Meta's SIP server says of a call: the `x-wa-meta-*` header fields, and who the caller is.

Meta's own pages spell some names in two ways; both are taken. Source: WhatsApp Business Platform, Calling API, "SIP".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.wire.cloud import Caller

MAX_VALUE: Final = 512
_PREFIX: Final = "x-wa-meta-"
_CALL_ID: Final = "outgoing:"
"""What precedes Meta's id of the call in the Call-ID of its INVITE."""
_NUMBER: Final = re.compile(r"\+?([0-9]{3,20})")
_METADATA: Final = {
    "user-country-code": "country_code",
    "country-code": "country_code",
    "parent-user-id": "parent_user_id",
    "deeplink-payload": "deeplink_payload",
    "cta-payload": "cta_payload",
}
"""The field of the call's metadata by what follows the prefix."""


@dataclass(frozen=True, slots=True)
class MetaInvite:
    """A user calls the business."""

    caller: Caller
    wacid: str
    """Meta's id of the call; empty where it sends none."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further metadata of the call."""
    sdp: str = ""
    """Meta's offer; empty if ours is asked for."""


def read_invite(
    headers: Mapping[str, tuple[str, ...]], from_user: str, from_name: str, sdp: str = ""
) -> MetaInvite:
    """Return what an INVITE says, given its header fields by lower-case name, user part and name of From, and its offer."""
    said: dict[str, str] = {}
    for name, values in headers.items():
        key = name.replace("_", "-")
        if key.startswith(_PREFIX) and values and values[0].isprintable():
            said.setdefault(key.removeprefix(_PREFIX), values[0].strip()[:MAX_VALUE])
    number = _NUMBER.fullmatch(from_user)
    digits = number[1] if number else ""
    # Meta names people with a username by its id of them.
    user_id = said.get("user-id", "") or ("" if digits else from_user[:MAX_VALUE])
    named = from_name.strip()[:MAX_VALUE]
    is_name = named.isprintable() and named.removeprefix("+") not in (digits, user_id)
    caller = Caller(
        number=digits,
        name=named if is_name else "",
        username=said.get("username", "") or said.get("user-name", ""),
        user_id=user_id,
    )
    call_id = next(iter(headers.get("call-id", ())), "")
    wacid = call_id.removeprefix(_CALL_ID) if call_id.startswith(_CALL_ID) else ""
    others = {ours: said[key] for key, ours in _METADATA.items() if said.get(key)}
    return MetaInvite(caller, said.get("wacid", "") or wacid[:MAX_VALUE], others, sdp)
