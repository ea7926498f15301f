from datetime import UTC, datetime

import pytest

from bridge.call.diagnosis.incidents import (
    failure_of,
    incident_of,
    interruption,
    refusal,
    resolved_by,
)
from bridge.call.diagnosis.problems import RULES, Code, Severity
from bridge.call.model import LegId
from bridge.errors import (
    BridgeError,
    LegError,
    LimitExceeded,
    NoCommonCodec,
    PermissionRequired,
    ProviderUnreachable,
    SdpError,
    TrunkRefused,
    TrunkUnreachable,
    Unreachable,
    WhatsAppError,
    WhatsAppRefused,
)
from bridge.wire.call_event import CallEvent, EventType


def event(kind: str, **data: object) -> CallEvent:
    return CallEvent(id="evt", type=kind, line="one", at=datetime.now(UTC), data=data)


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        (EventType.STREAM_ENDED, {"reason": "unreachable"}, Code.STREAM_UNREACHABLE),
        (EventType.AGENT_FAILED, {"step": "stt", "reason": "timeout"}, Code.AGENT_PROVIDER_FAILED),
        (EventType.RECORDING_FAILED, {"reason": "disk_full"}, Code.RECORDING_FAILED),
    ],
)
def test_an_event_of_a_service_is_an_incident(
    kind: EventType, data: dict[str, object], code: Code
) -> None:
    incident = incident_of(event(kind, **data))
    assert incident is not None
    assert incident.code is code
    assert RULES[code].summary.format_map(incident.evidence)


def test_a_stream_that_was_stopped_is_no_incident() -> None:
    assert incident_of(event(EventType.STREAM_ENDED, reason="stopped")) is None


def test_most_events_are_no_incident() -> None:
    kinds = (EventType.CALL_ACTIVE, EventType.STREAM_STARTED, EventType.AGENT_REPLIED)
    assert not any(incident_of(event(kind)) for kind in kinds)


def test_a_failed_provider_works_again_once_the_agent_replies_and_not_with_its_apology() -> None:
    apology, reply = {"ttsMs": 80}, {"sttMs": 200, "llmMs": 300, "ttsMs": 80}
    assert resolved_by(event(EventType.AGENT_REPLIED, **apology)) == ()
    assert resolved_by(event(EventType.AGENT_REPLIED, **reply)) == (Code.AGENT_PROVIDER_FAILED,)


@pytest.mark.parametrize(
    ("error", "code", "mend"),
    [
        (PermissionRequired("no", meta_code=138006), Code.PROVIDER_REFUSED, "/call/permission"),
        (WhatsAppRefused("no", meta_code=138011), Code.PROVIDER_REFUSED, "message"),
        (WhatsAppRefused("no", meta_code=131056), Code.PROVIDER_REFUSED, "whatsapp check"),
        (Unreachable("no"), Code.PROVIDER_REFUSED, "number"),
        (WhatsAppError("no", meta_code=2), Code.PROVIDER_UNREACHABLE, "doctor"),
        (ProviderUnreachable("no"), Code.PROVIDER_UNREACHABLE, "doctor"),
        (LegError("the engine refuses the token"), Code.PROVIDER_REFUSED, "gateway"),
        (SdpError("no audio"), Code.PROVIDER_REFUSED, "report"),
        (TrunkUnreachable("gone", 408), Code.TRUNK_UNREACHABLE, "trunk"),
        (TrunkRefused("no", 403), Code.PROVIDER_REFUSED, "caller_id"),
        (TrunkRefused("no", 401), Code.SIP_REGISTRATION_FAILED, "password"),
        (TrunkRefused("no", 488), Code.CODEC_REFUSED, "srtp"),
        (NoCommonCodec("none"), Code.CODEC_REFUSED, "codecs"),
    ],
)
def test_a_refused_dial_has_its_mend(error: BridgeError, code: Code, mend: str) -> None:
    failure = failure_of(error)
    assert failure is not None
    incident = refusal(failure, LegId("leg"))
    assert (incident.code, incident.leg_id) == (code, "leg")
    assert mend in (incident.fix or RULES[code].fix)


def test_a_crash_of_the_bridge_is_no_refusal() -> None:
    assert failure_of(BridgeError("internal error")) is None


def test_a_bridge_without_a_free_port_is_no_refusal_of_the_provider():
    assert failure_of(LimitExceeded("no media port is free (rtc.ports)")) is None


def test_a_streams_end_is_told_in_its_own_words_with_what_to_do():
    ended = event(
        EventType.STREAM_ENDED, reason="server_error", error="the server closed with code 1011"
    )
    incident = incident_of(ended)
    assert incident is not None
    assert incident.evidence == {
        "reason": "server_error",
        "error": "the server closed with code 1011",
    }
    assert "log of the stream's server" in incident.fix


def test_a_stream_that_is_unreachable_has_the_fix_of_its_code():
    incident = incident_of(event(EventType.STREAM_ENDED, reason="unreachable", error=""))
    assert incident is not None
    assert (incident.evidence, incident.fix) == ({"reason": "unreachable"}, "")


@pytest.mark.parametrize(
    ("cause", "silent", "severity"),
    [
        ("upgrade", 0.025, Severity.NOTICE),
        ("drain", 1.5, Severity.NOTICE),
        ("crash", 0.3, None),
        ("crash", 1.0, Severity.BROKEN),
        ("hang", 3.4, Severity.BROKEN),
    ],
)
def test_an_interruption_that_nobody_ordered_is_as_bad_as_it_is_long(
    cause: str, silent: float, severity: Severity | None
) -> None:
    found = interruption(cause, silent)
    assert (found.severity, bool(found.fix)) == (severity, severity is Severity.NOTICE)
    assert found.evidence == {"cause": cause, "silentMs": round(silent * 1000)}
    assert RULES[found.code].summary.format_map(found.evidence)
