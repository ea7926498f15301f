"""What a call asks of one leg, and legs that cannot do it."""

import pytest

from bridge.call import commands, events
from bridge.call.model import LegId
from bridge.node.running_legs import perform
from tests.support.fake_leg import FakeLeg

FAR = LegId("far")


class Telephone(FakeLeg):
    """A leg that can be held and transferred, and notes what it is asked."""

    def __init__(self) -> None:
        super().__init__("far")
        self.asked: list[object] = []

    def hold(self, *, held: bool) -> None:
        self.asked.append(("hold", held))

    def transfer(self, target, replaces=None) -> None:
        self.asked.append(("transfer", target))

    def report_transfer(self, code: int) -> None:
        self.asked.append(("report", code))

    def start(self) -> None:
        self.asked.append("start")


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (commands.HoldLeg(FAR, held=True), ("hold", True)),
        (commands.ReferLeg(FAR, "155501"), ("transfer", "155501")),
        (commands.ReportTransfer(FAR, 200), ("report", 200)),
        (commands.StartPlayback(FAR), "start"),
    ],
)
def test_a_leg_does_what_it_can(command, asked):
    leg = Telephone()
    assert perform(leg, command) is None
    assert leg.asked == [asked]


def test_a_leg_that_cannot_be_transferred_says_so():
    refused = events.LegTransferProgressed(FAR, 501, final=True)
    assert perform(FakeLeg("far"), commands.ReferLeg(FAR, "155501")) == refused


def test_a_leg_without_hold_in_its_signalling_is_left_alone():
    assert perform(FakeLeg("far"), commands.HoldLeg(FAR, held=True)) is None
