"""Publishing events: in order, once, and only when the call has settled."""

from datetime import UTC

from bridge.call.model import CallId, LineName
from bridge.call.view import snapshot_of
from bridge.log import call_id as log_call_id
from bridge.node.publisher import Publisher, new_event
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.crash_marks import NOTHING, CrashMarks, mark_of
from tests.support.published import Published, call_record

LINE = LineName("one")


def test_an_event_carries_the_call_as_it_stands():
    published = Published()
    published.publisher.publish(new_event(EventType.CALL_HELD, LINE, call_record(), {"by": "near"}))
    (event,) = published.events
    assert (event.type, event.line, event.data) == ("call.held", "one", {"by": "near"})
    assert event.call == snapshot_of(call_record())
    assert event.at.tzinfo is UTC


def test_no_two_events_have_the_same_id():
    published = Published()
    for _ in range(2):
        published.publisher.publish(new_event(EventType.LINE_PAUSED, LINE, None))
    first, second = published.events
    assert first.id != second.id


def test_bytes_never_get_into_an_event():
    published = Published()
    data = {"sound": b"\0\0", "track": "mixed"}
    published.publisher.publish(new_event(EventType.RECORDING_READY, LINE, None, data))
    assert published.events[0].data == {"track": "mixed"}


def test_events_are_held_until_the_outermost_hold_ends():
    published = Published()
    publisher = published.publisher
    with publisher.hold():
        with publisher.hold():
            publisher.publish(new_event(EventType.CALL_INITIATED, LINE, None))
        publisher.publish(new_event(EventType.CALL_RINGING, LINE, None))
        assert published.events == []
    assert published.types == ["call.initiated", "call.ringing"]


def test_what_a_subscriber_publishes_is_delivered_after_the_event_it_reacts_to():
    publisher, seen = Publisher(), list[str]()

    def answer(event: CallEvent) -> None:
        if event.type == EventType.CALL_RINGING:
            publisher.publish(new_event(EventType.CALL_ANSWERED, LINE, None))

    publisher.subscribe(answer, lambda event: seen.append(event.type))
    publisher.publish(new_event(EventType.CALL_RINGING, LINE, None))
    assert seen == ["call.ringing", "call.answered"]


def test_a_subscriber_that_fails_keeps_an_event_from_no_other(caplog):
    publisher, seen = Publisher(), list[CallEvent]()

    def fail(_: CallEvent) -> None:
        raise RuntimeError("boom")

    publisher.subscribe(fail, seen.append)
    publisher.publish(new_event(EventType.CALL_RINGING, LINE, None))
    assert len(seen) == 1
    assert "event.subscriber_failed" in caplog.text


def test_the_call_that_handles_something_is_named_by_the_log_and_by_a_crash():
    publisher, memory = Publisher(), memoryview(bytearray(16)).cast("q")
    publisher.marks = CrashMarks(memory)
    seen: list[tuple[int, str]] = []
    publisher.subscribe(lambda _: seen.append((memory[0], log_call_id.get())))
    with publisher.about(CallId("one")):
        assert (memory[0], log_call_id.get()) == (mark_of("one"), "one")
        publisher.publish(new_event(EventType.CALL_RINGING, LINE, None))
        assert seen == []
    assert seen == [(NOTHING, "")]  # an event of no call
    assert (memory[0], log_call_id.get()) == (NOTHING, "")
