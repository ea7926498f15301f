"""Performs transfers: rings the new party, or asks the far one to call it (REFER), and plays to those who wait."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from bridge.call import commands, events
from bridge.call.model import LegId, LegKind, LineName, Party
from bridge.call.parties import PSTN
from bridge.call.policy import LinePolicy, TrunkPolicy
from bridge.call.routing import Audience, LegRole
from bridge.errors import BridgeError, Forbidden
from bridge.legs.base import Transferable
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.node.running_legs import perform
from bridge.node.speech.last_words import wait_until_said
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

NEW_PARTY: Final = LegRole(Party.NEAR, replaces=True)
FORBIDDEN: Final = 403
REFUSED: Final = 480
"""What a party is told that asked for a transfer: by the policy, and for any other reason."""


class Transfers:
    """The transfers of this node's calls; who waits and who leaves is `call.transfers`."""

    def __init__(
        self, manager: Manager, playbacks: Playbacks, policies: Mapping[LineName, LinePolicy]
    ) -> None:
        self._manager = manager
        self._playbacks = playbacks
        self._policies = policies
        self._tasks = Tasks()

    def check(self, runner: CallRunner) -> None:
        """Raise `InvalidState` if the call cannot be transferred, before sounds for it are fetched."""
        runner.machine.check_answered("a transfer needs")

    async def transfer(
        self,
        runner: CallRunner,
        number: str,
        *,
        channel: str = "",
        waiting: Sound | None = None,
        announcement: Sound | None = None,
    ) -> LegId:
        """Ring a number that takes our side's place once it talks; return its leg, or the one that was asked.

        Returns once the number is being called. The other party hears `waiting` meanwhile, else a ring-back
        tone; the new one hears `announcement` before it talks.

        Raises:
            InvalidState: the call is not answered, or is being transferred already.
            Forbidden, Unsupported: the line does not call the number into this call.
            InvalidMedia, LimitExceeded: a sound cannot be played.
            BridgeError: the line's provider does not ring the number.
        """
        sounds = {Audience.WAITING: waiting, Audience.ARRIVING: announcement}
        played: list[LegId] = []
        try:
            self.check(runner)
            # Who waits hears the bots no more.
            await wait_until_said(runner)
            if waiting is None and announcement is None:
                asked = await self._refer(runner, number, channel)
                if asked is not None:
                    return asked
            while sounds:
                audience, sound = sounds.popitem()
                played += [await self._play(runner, sound, audience)] if sound else []
            return await self._manager.dials.invite(runner, number, NEW_PARTY, channel=channel)
        except BaseException:
            for sound in filter(None, sounds.values()):
                sound.release()
            for leg_id in played:
                with suppress(BridgeError):
                    runner.dispatch(events.CloseRequested(leg_id))
            raise

    async def aclose(self) -> None:
        """Cancel what far parties have asked for."""
        await self._tasks.aclose()

    async def _play(self, runner: CallRunner, sound: Sound, audience: Audience) -> LegId:
        waits = audience is Audience.ARRIVING
        options = PlaybackOptions(repeats=1 if waits else MAX_REPEATS, waits=waits)
        return await self._playbacks.play(runner, sound, options, audience=audience)

    async def _refer(self, runner: CallRunner, number: str, channel: str) -> LegId | None:
        """Ask the far party to call a number, where its trunk is asked such things."""
        far, trunk = runner.machine.legs.far_parties(), self._trunk(runner)
        if trunk is None or not trunk.refer or [leg.kind for leg in far] != [LegKind.SIP]:
            return None
        if not isinstance(runner.leg(far[0].leg_id), Transferable):
            return None
        route = await self._manager.dials.route(runner.facts.line, number, channel, runner)
        if route.channel != PSTN:
            return None
        runner.dispatch(events.ReferRequested(number))
        return far[0].leg_id

    def requested(self, runner: CallRunner, request: events.LegTransferRequested) -> None:
        """Perform a transfer that a far party asks for (`node.runner.TransferHandler`)."""
        self._tasks.spawn(self._call_instead(runner, request), name="transfer by the far party")

    async def _call_instead(self, runner: CallRunner, request: events.LegTransferRequested) -> None:
        """Ring whom a far party asks for in its place, and tell it when that is refused."""
        role = LegRole(Party.FAR, replaces=True, in_place_of=request.leg_id)
        try:
            trunk, number = self._trunk(runner), request.target.removeprefix("+")
            if trunk is None or not trunk.transfer:
                raise Forbidden(
                    "transfers by the other party are disabled for this line (lines.NAME.sip.transfer)"
                )
            await self._manager.dials.invite(
                runner, number, role, channel=PSTN, replaces=request.replaces
            )
        except BridgeError as error:
            code = FORBIDDEN if isinstance(error, Forbidden) else REFUSED
            log.info("transfer.refused", extra={"call": runner.facts.call_id, "code": code})
            leg = runner.leg(request.leg_id)
            if leg is not None:
                perform(leg, commands.ReportTransfer(request.leg_id, code))

    def _trunk(self, runner: CallRunner) -> TrunkPolicy | None:
        policy = self._policies.get(runner.facts.line)
        return None if policy is None else policy.trunk_to(runner.facts.peer)
