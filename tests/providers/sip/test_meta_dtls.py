"""The SIP dialog with Meta's server as a WhatsApp leg with WebRTC media uses it."""

import asyncio
from typing import Any

import pytest

from bridge.call.model import EndReason
from bridge.errors import PermissionRequired
from bridge.providers.sip.meta_dtls import DialogSignalling
from bridge.sip import events
from tests.support.sip.telephone import ScriptedDialog

pytestmark = pytest.mark.virtual_time


class Leg:
    """Notes what it is told."""

    def __init__(self, *, inbound: bool = False) -> None:
        self.is_inbound = inbound
        self.wacid = ""
        self.told: list[tuple[Any, ...]] = []

    def dialled(self, wacid: str) -> None:
        self.wacid = wacid
        self.told.append(("dialled",))

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.told.append((name, *given))


def made(*, inbound: bool = False) -> tuple[DialogSignalling, Any, Any]:
    dialog: Any = ScriptedDialog()
    leg: Any = Leg(inbound=inbound)
    signalling = DialogSignalling(dialog, "wacid.AB" if inbound else "")
    signalling.follow(leg)
    return signalling, dialog, leg


async def test_a_call_of_ours_is_dialled_rings_and_is_answered():
    signalling, dialog, leg = made()
    asked = asyncio.create_task(signalling.connect(leg, "an offer"))
    await asyncio.sleep(0)
    assert dialog.asked == [("invite", "an offer")]
    dialog.on_event(events.Ringing(180))
    await asked
    dialog.on_event(events.Answered("an answer"))
    assert leg.told == [("dialled",), ("ringing",), ("set_answer", "an answer"), ("accepted",)]


async def test_a_dial_that_meta_says_nothing_about_counts_as_accepted():
    signalling, _, leg = made()
    await signalling.connect(leg, "an offer")
    assert leg.told == [("dialled",)]


async def test_a_dial_that_is_refused_was_never_accepted_and_one_that_is_declined_was():
    signalling, dialog, leg = made()
    asked = asyncio.create_task(signalling.connect(leg, "an offer"))
    await asyncio.sleep(0)
    dialog.on_event(events.Refused(403, "No Approved Call Permission Found"))
    await asked
    [(what, reason, error)] = leg.told
    assert (what, reason, type(error)) == ("terminated", EndReason.FAILED, PermissionRequired)
    _, dialog, leg = made()
    dialog.on_event(events.Refused(486))
    assert leg.told == [("dialled",), ("terminated", EndReason.REJECTED, None)]


async def test_a_dial_that_nobody_waits_for_any_more_is_given_up():
    signalling, dialog, leg = made()
    asked = asyncio.create_task(signalling.connect(leg, "an offer"))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert "hang_up" in dialog.verbs
    assert leg.told == []


@pytest.mark.parametrize(
    ("answered", "code", "reason"),
    [
        (True, 408, EndReason.MEDIA_TIMEOUT),
        (True, None, EndReason.REMOTE_HANGUP),
        (False, None, EndReason.REMOTE_HANGUP),
    ],
)
async def test_a_call_that_rings_us_ends_as_meta_says(answered, code, reason):
    signalling, dialog, leg = made(inbound=True)
    assert dialog.verbs == ["ring"]
    if answered:
        await signalling.accept(signalling.wacid, "an answer")
        assert dialog.last("answer") == "an answer"
    dialog.on_event(events.Ended(code=code))
    assert leg.told == [("terminated", reason)]
