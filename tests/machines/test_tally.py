"""The judgement on what a receiver was told."""

from tests.machines.tally import ONCE, Delivered, faults


def told(*types, call="c", reason="hangup"):
    return [
        Delivered(f"{call}-{number}", name, call, {"reason": reason}, 0.0)
        for number, name in enumerate(types)
    ]


def test_a_whole_call_is_in_order_even_if_webhooks_come_again():
    rows = told(*ONCE)
    assert faults(rows + rows, {"c": "hangup"}) == []


def test_an_event_with_two_ids_is_doubled():
    assert faults(told(*ONCE, "call.ended"), {"c": "hangup"}) == [
        "c: 2 different call.ended",
        f"c: out of order: {', '.join(ONCE)}, call.ended",
    ]


def test_an_end_that_nobody_was_told_of_is_missing():
    assert faults(told(*ONCE[:-1]), {}) == ["c: call.ended is missing"]


def test_a_call_of_which_nothing_was_told_is_missing():
    assert len(faults([], {"c": "hangup"})) == len(ONCE)


def test_an_end_for_another_reason_is_named():
    assert faults(told(*ONCE), {"c": "node_lost"}) == ["c: ended as hangup, not node_lost"]


def test_events_out_of_order_are_named():
    first, second, *rest = ONCE
    assert faults(told(second, first, *rest), {}) == [
        f"c: out of order: {', '.join([second, first, *rest])}"
    ]
