"""How trunks answered last, for who watches them."""

from dataclasses import replace

import pytest

from bridge.call.model import LineName
from bridge.metrics.registry import Metrics
from bridge.providers.sip.trunks import Trunk, TrunkStates
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth

LINE = LineName("office")
UP = TrunkHealth(reachable=True, registered=True)
LOST = TrunkHealth(reachable=False, last_error="no address responds")
REFUSED = TrunkHealth(reachable=True, registered=False, code=403, last_error="refused with 403")


class Watched:
    def __init__(self):
        address = TrunkAddress(name=LINE, host="trunk.example", register_seconds=600)
        self.metrics = Metrics(version="0")
        self.health = TrunkHealth()
        self.states = TrunkStates(
            {LINE: Trunk(address=address)},
            lambda name: self.health,
            self.metrics.sip,
            failures=lambda: self.failures,
        )
        self.failures = 0

    def change(self, health):
        self.health = health
        self.states.changed(LINE, health)

    def figure(self, series):
        lines = self.metrics.render().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


@pytest.fixture
def watched():
    return Watched()


def test_a_trunk_that_was_not_asked_yet_is_not_down(watched):
    watched.states.measure()
    assert watched.states.down() == {}
    assert watched.figure('bridge_sip_trunks{state="unknown"}') == 1


@pytest.mark.parametrize("health", [LOST, REFUSED])
def test_a_trunk_that_does_not_answer_or_register_is_down_with_its_reason(watched, health):
    watched.change(UP)
    assert watched.states.down() == {}
    watched.change(health)
    assert watched.states.down() == {LINE: health.last_error}
    assert health.last_error in watched.states.health(LINE).failure
    assert watched.states.health(LINE).answered_at > 0


def test_the_log_says_once_that_a_trunk_is_down_however_its_reasons_change(watched, caplog):
    caplog.set_level("INFO")
    for health in (UP, LOST, replace(LOST, last_error="no registration"), LOST, UP, UP):
        watched.change(health)
    assert caplog.messages == ["sip.trunk_up", "sip.trunk_down", "sip.trunk_up"]


def test_a_refused_registration_is_logged_once_whether_or_not_the_trunk_was_asked_before(
    watched, caplog
):
    for health in (replace(REFUSED, reachable=None), REFUSED):
        watched.change(health)
    assert caplog.messages == ["sip.trunk_down"]


def test_the_metrics_count_trunks_and_registrations_by_state(watched):
    watched.change(REFUSED)
    assert watched.figure('bridge_sip_trunks{state="up"}') == 1
    assert watched.figure('bridge_sip_registrations{state="failed"}') == 1
    watched.change(LOST)
    assert watched.figure('bridge_sip_trunks{state="down"}') == 1
    assert watched.figure('bridge_sip_registrations{state="pending"}') == 1


def test_wrong_passwords_are_counted_once(watched):
    for watched.failures in (2, 2, 3):
        watched.states.measure()
    assert watched.figure("bridge_sip_authentication_failures_total") == 3
