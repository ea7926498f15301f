"""What servers of bots report is named at once, with what to do about it, until it works again."""

from typing import Any

import pytest

from bridge.call.diagnosis.bot_incidents import refused_stream, stream_error
from bridge.call.diagnosis.diagnosis import Diagnosis
from bridge.call.diagnosis.incidents import incident_of, resolved_by
from bridge.call.diagnosis.problems import Code, Severity
from bridge.wire.call_event import EventType
from tests.call.diagnosis.test_incidents import event


@pytest.mark.parametrize(
    ("status", "protocol", "mend"),
    [
        (401, "native", "lines.NAME.stream.secret"),
        (403, "twilio", "X-Twilio-Signature"),
        (404, "native", "path does not exist"),
        (401, "openai-realtime", "lines.NAME.realtime.key"),
        (429, "openai-realtime", "too many requests"),
        (500, "twilio", "stream_url"),
    ],
)
def test_a_refused_handshake_is_named_with_what_its_author_does(
    status: int, protocol: str, mend: str
) -> None:
    ended = event(EventType.STREAM_ENDED, reason="unreachable", status=status, protocol=protocol)
    incident = incident_of(ended)
    assert incident is not None
    diagnosis = Diagnosis()
    [change] = diagnosis.report(incident, 1.0)
    assert change.problem.code is Code.BOT_REFUSED
    assert str(status) in change.problem.summary
    assert mend in change.problem.fix


def test_a_stream_that_works_is_no_longer_refused() -> None:
    diagnosis = Diagnosis()
    diagnosis.report(refused_stream({"status": 401, "protocol": "native"}), 1.0)
    for code in resolved_by(event(EventType.STREAM_STARTED)):
        diagnosis.resolve(code, None, 2.0)
    assert diagnosis.open == []


@pytest.mark.parametrize(
    ("code", "words", "mend"),
    [
        ("invalid_api_key", "key is not valid", "realtime.key"),
        ("authentication_error", "key is not valid", "realtime.key"),
        ("insufficient_quota", "quota is used up", "limits"),
        ("billing_hard_limit_reached", "quota is used up", "bill"),
        ("rate_limit_exceeded", "too many requests", "fewer calls"),
        ("model_not_found", "model is not available", "realtime.model"),
        ("permission_denied", "may not do this", "project"),
    ],
)
def test_a_model_that_refuses_is_broken(code: str, words: str, mend: str) -> None:
    found = stream_error({"code": code, "message": "No."})
    assert found is not None
    [change] = Diagnosis().report(found, 1.0)
    problem = change.problem
    assert (problem.code, problem.severity) == (Code.BOT_PROVIDER_REFUSED, Severity.BROKEN)
    assert words in problem.summary
    assert mend in problem.fix


def test_an_error_of_another_kind_is_not_said_to_silence_the_model() -> None:
    found = stream_error({"code": "invalid_value", "message": "voice"})
    assert found is not None
    assert found.severity is Severity.DEGRADED


def test_a_failed_function_is_named_until_the_next_answer() -> None:
    data: dict[str, Any] = {"code": "function_failed", "message": "book: no answer within 10 s"}
    incident = incident_of(event(EventType.STREAM_ERROR, **data))
    assert incident is not None
    assert incident.code is Code.BOT_FUNCTION_FAILED
    assert Code.BOT_FUNCTION_FAILED in resolved_by(event(EventType.TURN))


def test_a_wrong_encoding_is_measured_and_not_reported() -> None:
    assert stream_error({"code": "wrong_encoding", "message": "…"}) is None


@pytest.mark.parametrize(
    ("reason", "mend"),
    [("timeout", "llm_seconds"), ("unreachable", "host, port"), ("status", "quota"), ("odd", "")],
)
def test_an_agents_provider_has_a_mend_for_how_it_failed(reason: str, mend: str) -> None:
    incident = incident_of(event(EventType.AGENT_FAILED, step="llm", reason=reason))
    assert incident is not None
    assert mend in incident.fix
