import pytest

from bridge.call.diagnosis.hops import HopCondition, hop_states
from bridge.call.diagnosis.observation import BotKind, BotObservation, CallObservation
from bridge.call.diagnosis.problems import Hop, Severity
from bridge.call.model import LegId, LegKind, State
from tests.call.diagnosis.scripted import FAR, talking

BROWSER = talking()(5)
CALL = CallObservation(State.ACTIVE, (BROWSER, FAR(5)))


def test_the_hops_of_a_call_stand_in_the_order_in_which_audio_passes_them() -> None:
    assert [one.hop.value for one in hop_states(CALL, {})] == [
        "browser.microphone",
        "browser.network",
        "bridge",
        "provider.signalling",
        "provider.network",
        "provider.far",
        "browser.speaker",
    ]


def test_a_hop_is_as_bad_as_its_worst_problem() -> None:
    worst: dict[tuple[Hop, LegId | None], Severity] = {
        (Hop.MICROPHONE, BROWSER.leg_id): Severity.NOTICE,
        (Hop.BRIDGE, None): Severity.BROKEN,
    }
    states = {one.hop: one.state for one in hop_states(CALL, worst)}
    assert states[Hop.MICROPHONE] is HopCondition.IDLE
    assert states[Hop.BRIDGE] is HopCondition.BROKEN
    assert states[Hop.NETWORK] is HopCondition.OK


def test_a_leg_that_is_not_connected_yet_is_unknown() -> None:
    joining = talking(connected=False)(0)
    states = hop_states(CallObservation(State.RINGING, (joining,)), {})
    assert {one.state for one in states if one.leg_id} == {HopCondition.UNKNOWN}


@pytest.mark.parametrize("kind", [kind for kind in LegKind if kind.traits.hop])
def test_a_service_is_a_hop(kind: LegKind) -> None:
    states = hop_states(CallObservation(State.ACTIVE, (talking(kind)(5),)), {})
    assert {kind.traits.hop, Hop.BRIDGE} == {one.hop for one in states}


def test_a_bot_over_webrtc_has_no_microphone() -> None:
    bot = talking(bot=BotObservation(BotKind.PEER))(5)
    states = hop_states(CallObservation(State.ACTIVE, (bot,)), {})
    assert [one.hop for one in states] == [Hop.NETWORK, Hop.BOT, Hop.BRIDGE]
