"""Performs the commands of a call's machine that are for one leg, as far as the leg can."""

from typing import Final, TypeAlias

from bridge.call import commands
from bridge.call.events import LegTransferProgressed
from bridge.legs.base import Answerable, DigitSender, Holdable, Leg, Startable, Transferable

LegCommand: TypeAlias = (
    commands.AnswerLeg
    | commands.SendDigits
    | commands.HoldLeg
    | commands.StartPlayback
    | commands.ReferLeg
    | commands.ReportTransfer
)
NOT_IMPLEMENTED: Final = 501
"""Of a transfer that the party of a leg cannot be asked for."""


def perform(leg: Leg, command: LegCommand) -> LegTransferProgressed | None:
    """Perform a command; return what comes of it at once, if anything."""
    match command:
        case commands.AnswerLeg() if isinstance(leg, Answerable):
            leg.answer()
        case commands.SendDigits(_, digits) if isinstance(leg, DigitSender):
            leg.send_digits(digits)
        case commands.HoldLeg(_, held) if isinstance(leg, Holdable):
            leg.hold(held=held)
        case commands.StartPlayback() if isinstance(leg, Startable):
            leg.start()
        case commands.ReferLeg(leg_id, target):
            if not isinstance(leg, Transferable):
                return LegTransferProgressed(leg_id, NOT_IMPLEMENTED, final=True)
            leg.transfer(target)
        case commands.ReportTransfer(_, code) if isinstance(leg, Transferable):
            leg.report_transfer(code)
        case _:
            pass
    return None
