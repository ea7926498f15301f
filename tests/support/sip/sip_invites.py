"""Inbound SIP calls for tests of what takes them."""

from typing import Any

from bridge.sip.boundary import Invitation, Target
from bridge.trunk.agent import IncomingInvite
from tests.support.sip.telephone import ScriptedDialog


def invite(to: str, *, trunks: frozenset[str], **said: Any) -> IncomingInvite:
    """Return an inbound call that was admitted."""
    known: dict[str, Any] = {
        "source": Target("udp", "203.0.113.7", 5060),
        "sdp": "v=0",
        "to_user": to,
        "from_user": "+4915112345",
        "from_name": "",
    }
    dialog: Any = ScriptedDialog()
    return IncomingInvite(dialog, Invitation(**known | said), trunks)


def asked(call: IncomingInvite) -> list[tuple[str, Any]]:
    """Return what the call's dialog was asked to do."""
    dialog: Any = call.dialog
    return list(dialog.asked)
