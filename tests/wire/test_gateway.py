import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.gateway import (
    FORM,
    BufferStatus,
    EngineCall,
    ErrorReported,
    Phase,
    Ready,
    StateChanged,
    Webhook,
    parse_phase,
    phone_number,
    read_calls,
    read_message,
    read_webhook,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def text(**message):
    return json.dumps(message)


def test_zuckzapgos_list_is_read():
    listed = [
        {
            "callId": "A1B2",
            "peer": "5521999999999@s.whatsapp.net",
            "state": "ringing",
            "direction": "inbound",
            "video": False,
        }
    ]
    assert read_calls(listed) == [EngineCall("A1B2", "5521999999999", True, Phase.RINGING)]


def test_wadials_snapshots_are_read():
    listed = [{"callId": "call-1", "peerJid": "49301@s.whatsapp.net", "direction": "outgoing"}]
    [call] = read_calls([listed[0] | {"state": "initiating"}])
    assert (call.peer, call.inbound, call.phase) == ("49301", False, Phase.CALLING)


@pytest.mark.parametrize("listed", [None, {}, "x", [None, 7, {}, {"callId": ""}, {"callId": 7}]])
def test_what_is_no_list_of_calls_has_none(listed):
    assert read_calls(listed) == []


@pytest.mark.parametrize("state", ["ringing", "connecting", "calling"])
def test_an_unanswered_inbound_call_awaits_an_answer(state):
    [call] = read_calls([{"callId": "x", "direction": "inbound", "state": state}])
    assert call.awaits_answer


@pytest.mark.parametrize(
    ("direction", "state"),
    [("outbound", "ringing"), ("inbound", "active"), ("inbound", "ended"), ("inbound", "idle")],
)
def test_no_other_call_awaits_an_answer(direction, state):
    [call] = read_calls([{"callId": "x", "direction": direction, "state": state}])
    assert not call.awaits_answer


@pytest.mark.parametrize(
    ("jid", "number"),
    [
        ("4930123@s.whatsapp.net", "4930123"),
        ("4930123:7@s.whatsapp.net", "4930123"),
        ("+4930123", "4930123"),
        ("8128@lid", "8128@lid"),
        ("", ""),
    ],
)
def test_a_phones_jid_is_its_number(jid, number):
    assert phone_number(jid) == number


def test_an_unknown_state_is_unknown():
    assert parse_phase("waiting_room") is Phase.UNKNOWN
    assert parse_phase(None) is Phase.UNKNOWN


def test_the_socket_says_whether_its_sound_is_ours():
    media = {"encoding": "Float32LE", "sampleRate": 16000, "channels": 1}
    assert read_message(text(type="ready", media=media)) == Ready(supported=True)
    assert read_message(text(type="ready")) == Ready(supported=True)
    for other in ({"encoding": "s16le"}, {"sampleRate": 48000}, {"channels": 2}):
        assert read_message(text(type="ready", media=media | other)) == Ready(supported=False)


def test_the_backlog_is_read_in_seconds():
    message = text(type="buffer", bufferedMs=240, pauseMs=500, resumeMs=250)
    assert read_message(message) == BufferStatus(0.24, 0.5, 0.25)
    assert read_message(text(type="buffer", bufferedMs=240)) is None


def test_states_the_end_and_errors_are_read():
    state = text(type="call_state", call={"callId": "x", "state": "active"})
    assert read_message(state) == StateChanged(Phase.ACTIVE)
    assert read_message(text(type="ended")) == StateChanged(Phase.ENDED)
    error = text(type="error", code="invalid_pcm_frame", message="…")
    assert read_message(error) == ErrorReported("invalid_pcm_frame")


@pytest.mark.parametrize("message", ["", "{", "[]", "7", '{"type":"news"}', '{"type":7}'])
def test_other_messages_are_ignored(message):
    assert read_message(message) is None


@given(ANYTHING, st.sampled_from(["ready", "buffer", "call_state", "error", "ended"]))
def test_no_message_breaks_the_reader(value, kind):
    for field in ("media", "call", "bufferedMs"):
        read_message(json.dumps({"type": kind, field: value}))
    read_calls([value, {"callId": "x", "peer": value, "state": value, "direction": value}])


def test_a_webhook_has_its_kind_and_every_text():
    event = {"type": "v1.call.terminate", "data": [{"call": {"CallID": "A1"}}], "at": 7}
    sent = read_webhook(json.dumps(event).encode(), "application/json")
    assert sent == Webhook("terminate", frozenset({"v1.call.terminate", "A1"}))


def test_a_webhook_may_be_a_form():
    body = b"token=x&jsonData=%7B%22type%22%3A%22call.ended%22%2C%22callId%22%3A%22A1%22%7D"
    sent = read_webhook(body, FORM)
    assert sent.kind == "ended"
    assert "A1" in sent.texts


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"a=b"])
@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_a_webhook_that_is_no_json_is_refused(body, content_type):
    with pytest.raises(RemoteProtocolError):
        read_webhook(body, content_type)
