"""When a response may be asked for, and which functions a response calls."""

import msgspec
import pytest

from bridge.wire.stream.realtime_events import MAX_ID
from bridge.wire.stream.realtime_turns import (
    BUSY,
    MAX_ARGUMENTS,
    MAX_REMEMBERED,
    RESPONSE_EVENT,
    CalledFunction,
    ResponseTurns,
    error_code,
)

CALL = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
CALLED = [CalledFunction("c", "weather", "{}")]


def requests(replies):
    return [msgspec.json.decode(reply.message) for reply in replies]


def done(response_id="r", status="completed", output=()):
    return {"id": response_id, "status": status, "output": list(output)}


def turns(*active: str) -> ResponseTurns:
    made = ResponseTurns()
    for response_id in active:
        made.created({"id": response_id})
    return made


def test_a_response_is_asked_for_at_once_where_nobody_speaks():
    [request] = requests(turns().request())
    assert request == {"type": "response.create", "event_id": RESPONSE_EVENT}


def test_a_response_is_asked_for_once():
    one = turns()
    assert len(list(one.request())) == 1
    assert list(one.request()) == []


def test_a_request_waits_for_the_response_that_goes_on():
    one = turns("r")
    assert list(one.request()) == []
    one.finish(done())
    assert len(list(one.request_owed())) == 1
    assert list(one.request_owed()) == []


def test_nothing_is_asked_for_where_nothing_is_owed():
    assert list(turns().request_owed()) == []


def test_a_request_with_instructions_is_made_now_or_never():
    [request] = requests(turns().request("Say hello."))
    assert request["response"] == {"instructions": "Say hello."}
    one = turns("r")
    assert list(one.request("Say hello.")) == []
    one.finish(done())
    assert list(one.request_owed()) == []


def test_what_is_owed_while_the_caller_speaks_is_part_of_the_servers_own_response():
    one = turns()
    one.speech_started()
    assert list(one.request()) == []
    one.speech_stopped()
    assert list(one.request_owed()) == []
    assert len(list(one.request())) == 1


def test_a_server_that_never_says_that_speech_has_stopped_is_asked_after_its_response():
    one = turns()
    one.speech_started()
    assert list(one.request()) == []
    one.created({"id": "r"})
    one.finish(done())
    assert len(list(one.request_owed())) == 1


def test_a_response_that_was_asked_for_before_the_caller_spoke_is_not_wanted():
    one = turns()
    assert len(list(one.request())) == 1
    one.speech_started()
    assert one.created({"id": "r"})
    assert not one.is_wanted("r", "item")
    one.speech_stopped()
    assert not one.created({"id": "next"})
    assert one.is_wanted("next", "item")


def test_the_servers_own_response_to_speech_is_wanted():
    one = turns()
    one.speech_started()
    assert not one.created({"id": "r"})
    assert one.is_wanted("r", "item")


def test_a_refused_request_is_made_again_after_the_response_in_its_way():
    one = turns()
    assert len(list(one.request())) == 1
    one.failed({"code": BUSY, "event_id": RESPONSE_EVENT})
    one.finish(done("other"))
    assert len(list(one.request_owed())) == 1


@pytest.mark.parametrize("event_id", [RESPONSE_EVENT, None])
def test_a_request_that_fails_is_not_made_again(event_id):
    one = turns()
    assert len(list(one.request())) == 1
    one.failed({"code": "server_error", "event_id": event_id})
    assert list(one.request_owed()) == []
    assert len(list(one.request())) == 1


def test_the_error_of_another_message_changes_nothing():
    one = turns()
    assert len(list(one.request())) == 1
    one.failed({"code": "invalid_value", "event_id": "session"})
    assert list(one.request()) == []


def test_a_response_calls_the_functions_of_its_output():
    message = {"type": "message", "id": "m"}
    assert turns("r").finish(done(output=[message, CALL])) == CALLED


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_a_response_that_was_cut_off_calls_nothing(status):
    one = turns("r")
    one.announce("r", CALL)
    assert one.finish(done(status=status, output=[CALL])) == []


def test_a_call_that_was_cut_off_is_not_made():
    assert turns("r").finish(done(output=[CALL | {"status": "incomplete"}])) == []


def test_a_call_that_was_announced_is_made_where_the_output_lacks_it():
    one = turns("r", "other")
    one.announce("r", CALL)
    assert one.finish(done("other")) == []
    assert one.finish({"id": "r"}) == CALLED


def test_a_call_that_is_announced_and_in_the_output_is_made_once():
    one = turns("r")
    one.announce("r", CALL)
    assert one.finish(done(output=[CALL])) == CALLED


def test_a_response_is_asked_for_when_all_functions_have_their_output():
    one = turns("r")
    one.finish(done(output=[CALL, CALL | {"call_id": "d"}]))
    one.answered("c")
    assert list(one.request()) == []
    one.answered("d")
    assert len(list(one.request())) == 1


def test_what_was_interrupted_is_not_wanted():
    one = turns("r")
    assert one.interrupt(["item"])
    assert not one.is_wanted("r", "new")
    assert not one.is_wanted("", "item")
    assert one.is_wanted("next", "new")
    assert one.is_wanted("", "")


def test_an_interruption_says_whether_a_response_went_on():
    assert turns("r").interrupt([])
    assert not turns().interrupt(["item"])


def test_only_so_much_is_remembered():
    one = turns()
    for number in range(3 * MAX_REMEMBERED):
        one.created({"id": str(number)})
        one.announce(str(number), CALL | {"call_id": str(number)})
        one.interrupt([f"item {number}"])
    sizes = {len(one._active), len(one._announced), len(one._unwanted)}
    assert sizes == {MAX_REMEMBERED}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "a", "type": "b"}, "a"),
        ({"code": None, "type": "b"}, "b"),
        ({}, "error"),
        ({"code": "x" * 99}, "x" * 64),
    ],
)
def test_an_error_is_named_by_its_code_or_its_type(error, code):
    assert error_code(error) == code


@pytest.mark.parametrize(
    ("field", "limit"), [("call_id", MAX_ID), ("name", MAX_ID), ("arguments", MAX_ARGUMENTS)]
)
def test_a_function_call_that_would_fill_the_memory_is_ignored(field, limit):
    one = turns("r")
    one.announce("r", CALL | {"call_id": "other"})
    longest, longer = CALL | {field: "x" * limit}, CALL | {field: "x" * (limit + 1)}
    assert len(one.finish(done(output=[longer]))) == 1
    assert len(turns("r").finish(done(output=[longest]))) == 1


def test_responses_with_ids_that_would_fill_the_memory_are_not_told_apart():
    one = turns(*(f"{number}".zfill(MAX_ID + 1) for number in range(2)))
    assert one.interrupt([])
    one.finish(done("x" * (MAX_ID + 1)))
    assert not one.interrupt([])


def test_a_response_calls_no_more_functions_than_are_remembered():
    calls = [CALL | {"call_id": f"{number}"} for number in range(MAX_REMEMBERED + 1)]
    assert len(turns("r").finish(done(output=calls))) == MAX_REMEMBERED
