"""Events in the log: what happened and to what, and nothing that belongs to people."""

import logging

from bridge.stores.event_log import trace
from tests.support.published import call_event


def test_an_event_is_logged_with_its_ids_and_words(caplog):
    caplog.set_level(logging.DEBUG)
    trace(call_event("playback.completed", legID="leg_1", playbackId="leg_1", status="stopped"))
    [record] = caplog.records
    assert record.getMessage() == "event.published"
    logged = vars(record)
    assert (logged["type"], logged["call"], logged["status"]) == (
        "playback.completed",
        "00AB",
        "stopped",
    )


def test_personal_data_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    secrets = {
        "digit": "7",
        "digits": "4711",
        "text": "my name is Nadia",
        "identity": "nadia@example.com",
        "mediaKey": "recordings/15550100001.wav",
        "from": "+15550100001",
        "url": "wss://user:pass@stream.example",
    }
    trace(call_event("transcript", **secrets))
    written = str(vars(caplog.records[0]))
    assert [secret for secret in secrets.values() if len(secret) > 1 and secret in written] == []
    assert "digit" not in vars(caplog.records[0])


def test_nothing_is_logged_above_debug(caplog):
    caplog.set_level(logging.INFO)
    trace(call_event("call.answered"))
    assert caplog.records == []
