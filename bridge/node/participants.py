"""Far parties that join a live call, and parties that are removed from one."""

from typing import Final

from bridge.call import events
from bridge.call.model import LegId, Party
from bridge.call.routing import LegRole
from bridge.errors import InvalidState, LegNotFound
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner

FAR: Final = LegRole(Party.FAR)


async def add_participant(
    manager: Manager, runner: CallRunner, number: str, *, channel: str = ""
) -> LegId:
    """Ring a number for one more far party; returns once it is being rung.

    Raises:
        InvalidState: the call is not answered.
        LimitExceeded: it has all its legs.
        Forbidden, Unsupported: the line does not call the number into this call.
        BridgeError: the line's provider does not ring the number.
    """
    runner.machine.check_answered("another party joins")
    return await manager.dials.invite(runner, number, FAR, channel=channel)


def remove_participant(runner: CallRunner, leg_id: LegId) -> None:
    """Hang up one party of a call.

    Raises:
        LegNotFound: the call has no such party.
        InvalidState: it is the last far party that talks, with which the call ends.
    """
    leg = runner.machine.legs.get(leg_id)
    if leg is None or leg.role.party is Party.SERVICE:
        raise LegNotFound("the call has no such party")
    far = runner.machine.far_parties()
    if leg in far and not any(other.talks for other in far if other != leg):
        raise InvalidState("this is the call's last far party; hang up the call instead")
    runner.dispatch(events.CloseRequested(leg_id))
