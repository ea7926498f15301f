"""Each code is raised within five seconds of its fault, first of all, and of nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.observation import (
    CandidateType,
    ClientHints,
    LegObservation,
    Microphone,
    OutputDevice,
    Speaker,
)
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.leg_state import ProviderFailure, ProviderState, SocketState, TransportState
from bridge.call.model import (
    LegId,
    LegKind,
    LegStatistics,
    LevelCounts,
    Party,
    ReceivedAudio,
    State,
)
from tests.call.diagnosis.scripted import CONNECTED, FAR, Leg, ScriptedCall, joining, reply, talking

MICROPHONE_MUTED = ClientHints(microphone=Microphone.MUTED)


def changed(leg: Leg, **changes: Any) -> Leg:
    """The leg with other figures: those of `ReceivedAudio`, per second."""

    def at(second: int) -> LegObservation:
        seen = leg(second)
        received = replace(
            seen.statistics.received,
            **{
                name: value(second) if callable(value) else value for name, value in changes.items()
            },
        )
        return replace(seen, statistics=replace(seen.statistics, received=received))

    return at


def transported(leg: Leg, *, discarded: Mapping[str, int] = {}, **changes: Any) -> Leg:
    """The leg with another transport, and datagrams discarded each second."""

    def at(second: int) -> LegObservation:
        seen = leg(second)
        state = replace(seen.statistics.transport or CONNECTED, **changes)
        counts = {reason: count * second for reason, count in discarded.items()}
        return replace(seen, statistics=replace(seen.statistics, transport=state, discarded=counts))

    return at


def stopping(leg: Leg, after: int) -> Leg:
    """The leg, which sends nothing more after a while."""
    return lambda second: leg(min(second, after))


def socket(state: SocketState | None = None, *, frames: int = 0, octets: int = 32_000) -> Leg:
    def at(second: int) -> LegObservation:
        received = ReceivedAudio(
            packets=17 * second, frames=frames * second, bytes=octets * second, level_dbov=-20.0
        )
        grown = state and replace(state, dropped_seconds=state.dropped_seconds * second)
        return replace(
            talking(LegKind.SOCKET)(second), statistics=LegStatistics(received, socket=grown)
        )

    return at


NEVER_SENT = {"packets": 0, "frames": 0, "levels": LevelCounts()}
UNANSWERED = TransportState(described=True, ice="checking", public_candidates=True)
GOOD_SOCKET = SocketState("s16le", 16_000, 32_000)
AGENT = replace(talking(LegKind.AGENT)(1), statistics=LegStatistics(replies=(reply(3.5),)))

FAULTS: dict[Code, tuple[Leg, ...]] = {
    Code.MICROPHONE_MUTED: (talking(level=-127.0, hints=MICROPHONE_MUTED), FAR),
    Code.MICROPHONE_SILENT: (talking(level=-90.0), FAR),
    Code.CLIPPING: (
        changed(
            talking(),
            levels=lambda second: LevelCounts(10 * second, 2 * second, 10 * second, 3 * second),
        ),
        FAR,
    ),
    Code.TURN_REFUSED: (joining(UNANSWERED, hints=ClientHints(turn_error=401)), FAR),
    Code.TURN_MISSING: (joining(replace(UNANSWERED, public_candidates=False)), FAR),
    Code.ICE_NO_CHECKS: (joining(UNANSWERED), FAR),
    Code.ICE_ONE_WAY: (joining(replace(UNANSWERED, checks_received=7)), FAR),
    Code.DTLS_FINGERPRINT: (joining(replace(CONNECTED, dtls="failed", failure="fingerprint")), FAR),
    Code.DTLS_NO_ANSWER: (joining(replace(CONNECTED, dtls="checking")), FAR),
    Code.SRTP_REJECTED: (
        transported(changed(talking(), **NEVER_SENT), discarded={"bad_srtp": 50}),
        FAR,
    ),
    Code.CODEC_MISMATCH: (
        transported(changed(talking(), **NEVER_SENT), discarded={"unknown_payload": 50}),
        FAR,
    ),
    Code.BROWSER_SENDS_NOTHING: (changed(talking(), **NEVER_SENT), FAR),
    Code.NETWORK_STALLED: (stopping(talking(), 1), FAR),
    Code.NETWORK_LOSSY: (talking(loss=0.2), FAR),
    Code.NETWORK_JITTERY: (changed(talking(), peak_jitter_seconds=0.2), FAR),
    Code.ROUND_TRIP_LONG: (
        lambda second: replace(
            talking()(second),
            statistics=replace(talking()(second).statistics, round_trip_seconds=0.8),
        ),
        FAR,
    ),
    Code.SOCKET_SENDS_NOTHING: (socket(GOOD_SOCKET), FAR),
    Code.SOCKET_WRONG_FORMAT: (
        socket(SocketState("s16le", 16_000, 32_000, looks_like="f32le"), frames=50),
        FAR,
    ),
    Code.SOCKET_READER_SLOW: (
        socket(SocketState("s16le", 16_000, 32_000, dropped_seconds=0.5), frames=50),
        FAR,
    ),
    Code.AGENT_SLOW: (lambda _: AGENT, FAR),
    Code.NOBODY_JOINED: (FAR,),
    Code.ONE_WAY_RTP: (
        talking(),
        transported(changed(talking(LegKind.SIP, Party.FAR), **NEVER_SENT), plain=True),
    ),
    Code.FAR_SENDS_NOTHING: (talking(), changed(FAR, **NEVER_SENT)),
    Code.FAR_NOT_HEARING: (talking(), transported(FAR, reports_about_us=0)),
    Code.ECHO_SUSPECTED: (
        talking(),
        lambda second: replace(
            FAR(second), statistics=replace(FAR(second).statistics, echo_seconds=0.36)
        ),
    ),
    Code.SPEAKER_BLOCKED: (talking(hints=ClientHints(speaker=Speaker.BLOCKED)), FAR),
    Code.SPEAKER_MISSING: (talking(hints=ClientHints(output_device=OutputDevice.MISSING)), FAR),
}
INCIDENTS: dict[Code, dict[str, object]] = {
    Code.STREAM_UNREACHABLE: {"reason": "refused"},
    Code.AGENT_PROVIDER_FAILED: {"step": "tts", "reason": "timeout"},
    Code.RECORDING_FAILED: {"reason": "disk_full"},
    Code.PROVIDER_REFUSED: {"reason": "the user has not permitted calls"},
    Code.PROVIDER_UNREACHABLE: {"reason": "no connection"},
    Code.SIP_REGISTRATION_FAILED: {"reason": "it does not accept the password"},
    Code.TRUNK_UNREACHABLE: {"reason": "it did not respond in time"},
    Code.CODEC_REFUSED: {"reason": "none of our codecs"},
}
ELSEWHERE = {one for one in Code if one.value.startswith(("bot_", "call.", "interrupted"))}
OTHERWISE = {Code.FAR_SILENT, Code.HELD, Code.MUTED, Code.BRIDGE_OVERLOADED} | ELSEWHERE
"""Tested one by one, or where it is raised."""


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_raises_its_code_within_five_seconds(code: Code) -> None:
    call = ScriptedCall().run(6, *FAULTS[code])
    assert call.codes == [code.value]
    assert call.changes[0][0] <= 5


@pytest.mark.parametrize("reason", ["unknown_payload", "refused_line"])
def test_what_comes_beside_the_audio_is_no_problem_even_where_no_frame_is_decoded(
    reason: str,
) -> None:
    relayed = transported(changed(talking(), frames=0), discarded={reason: 200})
    assert ScriptedCall().run(6, relayed, FAR).codes == []


def test_a_party_that_sends_video_alone_is_told_that_its_audio_is_missing() -> None:
    silent = transported(changed(talking(), **NEVER_SENT), discarded={"refused_line": 200})
    assert ScriptedCall().run(6, silent, FAR).codes == ["browser_sends_nothing"]


def test_a_telephone_that_changes_to_a_format_that_was_not_negotiated_is_named() -> None:
    telephone = stopping(talking(LegKind.SIP, Party.FAR), 5)
    far = transported(telephone, discarded={"unknown_payload": 50}, plain=True)
    assert ScriptedCall().run(10, talking(), far).codes == ["codec_mismatch"]


@pytest.mark.parametrize("code", INCIDENTS)
def test_an_incident_is_raised_at_once(code: Code) -> None:
    call = ScriptedCall().run(2, talking(), FAR)
    raised = call.diagnosis.report(Finding(code, None, INCIDENTS[code]), 2.0)
    assert [change.problem.code for change in raised] == [code]
    assert "{" not in raised[0].problem.summary + raised[0].problem.fix


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (Code.HELD, {"state": State.HELD}),
        (Code.MUTED, {"muted": True}),
        (Code.BRIDGE_OVERLOADED, {"lag": 0.2}),
    ],
)
def test_what_concerns_the_whole_call_has_no_leg(code: Code, arguments: dict[str, Any]) -> None:
    call = ScriptedCall().run(5, talking(), FAR, **arguments)
    assert [(one.code, one.leg_id) for one in call.diagnosis.open] == [(code, None)]


def test_a_far_party_that_sends_silence_is_named_after_eight_seconds() -> None:
    silent = talking(LegKind.WHATSAPP, Party.FAR, level=-127.0)
    assert ScriptedCall().run(7, talking(), silent).codes == []
    assert ScriptedCall().run(10, talking(), silent).codes == ["far_silent"]


def test_a_browser_that_talks_with_an_agent_is_told_of_its_own_microphone() -> None:
    silent = talking(LegKind.WEBRTC, Party.FAR, level=-127.0)
    agent = talking(LegKind.AGENT, Party.SERVICE)
    assert ScriptedCall().run(10, silent, agent).codes == ["microphone_silent"]


def test_a_silent_browser_at_the_far_end_of_a_persons_call_is_the_far_party() -> None:
    silent = talking(LegKind.WEBRTC, Party.FAR, level=-127.0)
    person = talking(LegKind.WEBRTC, leg_id="near")
    assert ScriptedCall().run(10, person, silent).codes == ["far_silent"]


def test_a_caller_who_hears_a_greeting_is_not_called_silent() -> None:
    silent = talking(LegKind.WHATSAPP, Party.FAR, level=-127.0)
    voicemail = talking(LegKind.VOICEMAIL, Party.SERVICE)
    assert ScriptedCall().run(20, silent, voicemail).codes == []


def test_a_telephone_that_holds_is_not_called_silent() -> None:
    silent = talking(LegKind.SIP, Party.FAR, level=-127.0)
    held = transported(silent, plain=True, held=True)
    call = ScriptedCall().run(12, talking(), held)
    assert [(one.code, one.leg_id) for one in call.diagnosis.open] == [(Code.HELD, "sip")]


def test_a_telephone_that_rings_has_no_set_up_to_fail() -> None:
    ringing = joining(replace(CONNECTED, plain=True), kind=LegKind.SIP)
    assert ScriptedCall().run(6, ringing, FAR).codes == []


def test_every_code_is_detected_here() -> None:
    assert FAULTS.keys() | INCIDENTS.keys() | OTHERWISE == set(Code)


def test_a_microphone_that_was_loud_before_and_is_silent_now_is_only_a_notice() -> None:
    call = ScriptedCall().run(10, talking(), FAR)
    call.run(10, changed(talking(level=-127.0), level_dbov=-127.0), FAR)
    assert [one.severity for one in call.diagnosis.open] == [Severity.NOTICE]


def test_a_bot_that_waits_for_the_far_party_is_only_a_notice() -> None:
    quiet = talking(LegKind.WHATSAPP, Party.FAR, level=-65.0)
    call = ScriptedCall().run(10, socket(GOOD_SOCKET), quiet)
    assert [one.severity for one in call.diagnosis.open] == [Severity.NOTICE]


def test_a_turn_server_that_is_set_is_not_missing() -> None:
    private = joining(replace(UNANSWERED, public_candidates=False))
    assert ScriptedCall().run(6, private, FAR, turn=True).codes == ["ice_no_checks"]


def test_a_network_problem_of_the_far_party_lies_at_its_provider() -> None:
    lossy = talking(LegKind.WHATSAPP, Party.FAR, loss=0.2)
    call = ScriptedCall().run(6, talking(), lossy)
    assert [one.hop.value for one in call.diagnosis.open] == ["provider.network"]


@pytest.mark.parametrize("service", [LegKind.RECORDER, LegKind.PLAYBACK, LegKind.STREAM])
def test_a_call_that_a_service_uses_needs_nobody_else(service: LegKind) -> None:
    leg = replace(talking(service)(1), leg_id=LegId("service"), party=Party.SERVICE)
    assert ScriptedCall().run(10, lambda _: leg, FAR).codes == []


@pytest.mark.parametrize(("octets", "rate"), [(16_000, 8_000), (48_000, 24_000), (96_000, 48_000)])
def test_a_socket_that_sends_at_another_rate_is_recognised(octets: int, rate: int) -> None:
    call = ScriptedCall().run(6, socket(GOOD_SOCKET, frames=40, octets=octets), FAR)
    (problem,) = call.diagnosis.open
    assert (problem.code, problem.evidence["looksLike"]) == (
        Code.SOCKET_WRONG_FORMAT,
        f"audio at {rate} Hz",
    )


def test_a_socket_that_sends_in_bursts_has_no_rate() -> None:
    def bursts(second: int) -> LegObservation:
        return socket(GOOD_SOCKET, frames=40, octets=32_000)(second // 2 * 3)

    assert ScriptedCall().run(20, bursts, FAR).codes == []


def test_a_far_party_may_be_silent_while_this_side_is_muted() -> None:
    silent = talking(LegKind.WHATSAPP, Party.FAR, level=-127.0)
    assert ScriptedCall().run(12, talking(muted=True), silent).codes == ["microphone_muted"]


def reported(leg: Leg, share: float) -> Leg:
    """The leg, whose reports say that this share of our packets is lost."""

    def at(second: int) -> LegObservation:
        seen = leg(second)
        sent = replace(seen.statistics.sent, remote_lost=round(50 * second * share))
        return replace(seen, statistics=replace(seen.statistics, sent=sent))

    return at


def test_loss_that_the_party_reports_is_named() -> None:
    call = ScriptedCall().run(6, reported(talking(), 0.2), FAR)
    (problem,) = call.diagnosis.open
    assert (problem.code, problem.hop) == (Code.NETWORK_LOSSY, "browser.network")
    assert "our packets" in problem.summary


def test_loss_that_was_relayed_is_not_the_receiver_s() -> None:
    lossy = talking(LegKind.WHATSAPP, Party.FAR, loss=0.2)
    call = ScriptedCall().run(8, reported(talking(), 0.2), lossy)
    assert [one.leg_id for one in call.diagnosis.open] == ["whatsapp"]


def provided(leg: Leg, state: ProviderState) -> Leg:
    return lambda second: replace(
        leg(second), statistics=replace(leg(second).statistics, provider=state)
    )


def test_a_provider_that_answers_soon_is_no_problem() -> None:
    asked = provided(FAR, ProviderState(asked_at=0.0))
    assert ScriptedCall().run(3, talking(), asked).codes == []
    assert ScriptedCall().run(5, talking(), asked).codes == ["provider_unreachable"]


def test_a_refused_request_is_a_problem_until_another_one_succeeds() -> None:
    refused = provided(
        FAR, ProviderState(failure=ProviderFailure(refused=True, reason="no", number=190))
    )
    call = ScriptedCall().run(2, talking(), refused)
    assert call.codes == ["provider_refused"]
    assert call.run(4, talking(), FAR).codes == []


def test_a_few_stray_packets_of_other_keys_are_no_problem_while_good_ones_come() -> None:
    stray = transported(talking(), discarded={"bad_srtp": 20})
    assert ScriptedCall().run(8, stray, FAR).codes == []


@pytest.mark.parametrize("state", [Microphone.ENDED, Microphone.DENIED])
def test_a_microphone_that_nobody_switched_off_is_broken(state: Microphone) -> None:
    call = ScriptedCall().run(6, talking(level=-127.0, hints=ClientHints(microphone=state)), FAR)
    (problem,) = call.diagnosis.open
    assert (problem.code, problem.severity) == (Code.MICROPHONE_MUTED, Severity.BROKEN)


def test_a_browser_that_conceals_much_of_what_it_plays_has_a_lossy_network() -> None:
    hints = ClientHints(concealed_ratio=0.3, path="relay over tcp")
    (problem,) = ScriptedCall().run(6, talking(hints=hints), FAR).diagnosis.open
    assert (problem.code, problem.evidence["clientPath"]) == (
        Code.NETWORK_LOSSY,
        "relay over tcp",
    )
    assert "what this party should hear" in problem.summary


def test_what_a_browser_says_of_its_ice_is_evidence_of_a_problem_and_none_by_itself() -> None:
    hints = ClientHints(ice="disconnected", hidden=True)
    assert ScriptedCall().run(6, talking(hints=hints), FAR).codes == []
    (problem,) = ScriptedCall().run(6, joining(UNANSWERED, hints=hints), FAR).diagnosis.open
    told = {"clientIce": "disconnected", "pageHidden": True}
    assert problem.evidence.items() >= told.items()


def test_a_turn_server_that_does_not_answer_the_browser_has_not_refused_it() -> None:
    call = ScriptedCall().run(6, joining(UNANSWERED, hints=ClientHints(turn_error=701)), FAR)
    (problem,) = call.diagnosis.open
    assert (problem.code, problem.evidence["turnError"]) == (Code.ICE_NO_CHECKS, 701)


def test_a_browser_with_a_public_address_of_its_own_needs_no_turn_server() -> None:
    hints = ClientHints(candidate_types=frozenset({CandidateType.HOST, CandidateType.SRFLX}))
    private = replace(UNANSWERED, public_candidates=False)
    assert ScriptedCall().run(6, joining(private, hints=hints), FAR).codes == ["ice_no_checks"]


def test_a_silent_microphone_says_what_its_browser_measures() -> None:
    hints = ClientHints(microphone=Microphone.LIVE, microphone_dbov=-20.0)
    (problem,) = ScriptedCall().run(6, talking(level=-90.0, hints=hints), FAR).diagnosis.open
    assert (problem.code, problem.evidence["clientLevelDbov"]) == (Code.MICROPHONE_SILENT, -20.0)


def test_packets_that_wait_in_the_bridge_do_not_come_unevenly() -> None:
    uneven = changed(talking(), peak_jitter_seconds=0.2)
    assert ScriptedCall().run(8, uneven, FAR, lag=0.2).codes == ["bridge_overloaded"]


@pytest.mark.parametrize("packets", [0, 100])
def test_a_party_that_only_listens_need_not_send(packets: int) -> None:
    listening = transported(changed(talking(), packets=packets, frames=0), sends=False)
    assert ScriptedCall().run(10, listening, FAR).codes == []
