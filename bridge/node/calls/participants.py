"""Far parties that join a live call, and parties that are removed from one."""

from typing import Final

from bridge.call import events
from bridge.call.model import CallDetails, EndReason, LegId, LineName, Party
from bridge.call.parties import PSTN, WEBRTC
from bridge.call.routing import LegRole
from bridge.errors import BridgeError, InvalidState, LegNotFound
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner

FAR: Final = LegRole(Party.FAR)
CALLER: Final = LegRole(Party.NEAR, caller=True)


async def add_participant(
    manager: Manager, runner: CallRunner, number: str, *, channel: str = ""
) -> LegId:
    """Ring a number for one more far party; returns once it is being called.

    Raises:
        InvalidState: the call is not answered.
        LimitExceeded: it has all its legs.
        Forbidden, Unsupported: the line does not call the number into this call.
        BridgeError: the line's provider does not ring the number.
    """
    runner.machine.check_answered("another party joins")
    return await manager.dials.invite(runner, number, FAR, channel=channel)


async def call_from_telephone(manager: Manager, line: LineName, details: CallDetails) -> CallRunner:
    """Ring the telephone that a call is made from, then the other party; a browser is waited for.

    Raises:
        LineDisabled, LimitExceeded.
        Forbidden, Unsupported: the line does not call one of them, or not both in one call.
        BridgeError: one of them is not called; `call_id` is that of the call, which has ended.
    """
    parties = details.parties
    to = parties.to if parties.to_channel == WEBRTC else parties.to.removeprefix("+")
    runner = await manager.open(line, details, peer=to)
    try:
        caller = parties.from_.removeprefix("+")
        await manager.dials.invite(runner, caller, CALLER, channel=PSTN)
        if parties.to_channel != WEBRTC:
            await manager.dials.invite(runner, to, FAR, channel=parties.to_channel)
    except BaseException as error:
        if runner.live:
            runner.dispatch(events.HangupRequested(EndReason.FAILED))
        if isinstance(error, BridgeError):
            error.call_id = runner.facts.call_id
        raise
    return runner


def remove_participant(runner: CallRunner, leg_id: LegId) -> None:
    """Hang up one party of a call.

    Raises:
        LegNotFound: the call has no such party.
        InvalidState: it is the last far party that talks, with which the call ends.
    """
    leg = runner.machine.legs.records.get(leg_id)
    if leg is None or leg.role.party is Party.SERVICE:
        raise LegNotFound("the call has no such party")
    far = runner.machine.legs.far_parties()
    if leg in far and not any(other.talks for other in far if other != leg):
        raise InvalidState("this is the call's last far party; hang up the call instead")
    runner.dispatch(events.CloseRequested(leg_id))
