"""What Wavix is sent of machine detection and transcriptions."""

import pytest

from bridge.wire.webhook.formats import Style
from tests.wire.webhook.test_formats import body_of, event


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        (
            "call.machine_detected",
            {"result": "machine", "at": 3.0, "beepAt": None},
            ("machine_detection", {"status": "completed", "result": "machine", "beep_at": None}),
        ),
        ("transcript.ready", {}, ("transcription", {"status": "completed"})),
        ("transcript.failed", {}, ("transcription", {"status": "failed"})),
    ],
)
def test_wavix_is_sent_what_was_found_out_about_a_call(kind, data, shown):
    body = body_of(event(kind, data=data, answered_by="machine"), Style.WAVIX)
    payload = body["event_payload"]
    assert (body["event_type"], body["machine_detected"]) == ("on_call_event", True)
    assert (payload["type"], payload["payload"]) == shown


def test_who_asked_wavix_for_a_transcription_is_sent_its_end_alone():
    body = body_of(event("transcript.failed"), Style.WAVIX_TRANSCRIPTION)
    assert body == {"uuid": "00ababab-abab-abab-abab-abababababab", "status": "failed"}
    assert body_of(event("call.ringing"), Style.WAVIX_TRANSCRIPTION) is None
