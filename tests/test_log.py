"""Tests of what a log line looks like, and of what cannot get into one."""

import json
import logging

import pytest

from bridge.log import JsonFormatter, TextFormatter, about, call_id, leg_id, node


def record(message="leg.ended", *, error=None, **extra):
    made = logging.makeLogRecord({"msg": message, "levelno": 20, "levelname": "INFO"} | extra)
    if error is not None:
        made.exc_info = (type(error), error, None)
    return made


def as_json(made):
    return json.loads(JsonFormatter().format(made))


@pytest.fixture
def within_a_call():
    """Set the ids that the runner sets."""
    tokens = [(call_id, call_id.set("00AB")), (leg_id, leg_id.set("leg_1"))]
    yield
    for variable, token in tokens:
        variable.reset(token)


def test_a_json_line_has_time_level_event_and_what_was_given():
    line = as_json(record(kind="webrtc", seconds=1.5))
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "event": "leg.ended", "kind": "webrtc", "seconds": 1.5}


def test_figures_and_truths_are_no_text_in_json():
    line = as_json(record(calls=3, seconds=1.5, stuck=False))
    assert (line["calls"], line["seconds"], line["stuck"]) == (3, 1.5, False)


def test_what_json_has_no_figure_for_is_text():
    assert as_json(record(seconds=float("inf")))["seconds"] == "inf"


def test_ids_come_from_the_context_without_being_passed(within_a_call):
    assert as_json(record())["call"] == "00AB"
    assert "call=00AB leg=leg_1 kind=webrtc" in TextFormatter().format(record(kind="webrtc"))


def test_of_several_nodes_each_line_says_which():
    token = node.set("1")
    assert as_json(record())["node"] == "1"
    node.reset(token)
    assert "node" not in as_json(record())


def test_outside_a_call_there_are_no_empty_ids():
    assert not {"call", "leg", "request"} & as_json(record()).keys()


def test_a_text_line_is_for_people():
    assert TextFormatter().format(record(kind="webrtc")).endswith(" info    leg.ended kind=webrtc")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_what_a_stranger_sends_cannot_begin_a_new_line(formatter):
    line = formatter.format(record(agent="a\nERROR forged\r\x1b[31m"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_what_a_stranger_sends_is_cut_short(formatter):
    assert len(formatter.format(record(agent="x" * 100_000))) < 1200


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_error_brings_its_stack_trace(formatter):
    assert "ValueError: too late" in formatter.format(record(error=ValueError("too late")))


def test_a_call_and_a_leg_are_named_for_a_while():
    with about("00AB", "leg_1"):
        line = as_json(record())
    assert (line["call"], line["leg"]) == ("00AB", "leg_1")
    assert "call" not in as_json(record())
