import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from bridge.rehearse.report_waveform import waits, waveform
from bridge.rehearse.result import Mark, MarkKind
from tests.rehearse.results import FAILED, NOT_RUN, PASSED

CALLER, BOT = MarkKind.CALLER, MarkKind.BOT


def titles(result):
    return [title.text for title in ET.fromstring(waveform(result)).iter("title")]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([(CALLER, 1, 2), (BOT, 2.8, 4)], ((2, 2.8),)),
        ([(BOT, 0, 1), (CALLER, 2, 3)], ()),
        ([(CALLER, 1, 2), (CALLER, 2.5, 3), (BOT, 4, 5)], ((3, 4),)),
        ([(BOT, 0, 5), (CALLER, 1, 1.4), (BOT, 6, 7)], ()),
        ([(CALLER, 1, 2), (BOT, 2, 3), (CALLER, 4, 5), (BOT, 6, 7)], ((2, 2), (5, 6))),
    ],
    ids=["answer", "greeting", "a second phrase", "spoken over", "two turns"],
)
def test_a_wait_is_from_the_callers_last_word_to_the_answer(marks, expected):
    assert waits([Mark(*mark) for mark in marks]) == expected


def test_both_sides_and_the_wait_between_them_are_drawn():
    picture = ET.fromstring(waveform(PASSED))

    assert [side.get("class") for side in picture.findall("svg") if side.get("class")] == [
        "caller",
        "bot",
    ]
    assert "wait: 2.00 to 2.80 s" in titles(PASSED)
    assert "800 ms" in [text.text for text in picture.iter("text")]
    assert "caller When are you open?: 1.00 to 2.00 s" in titles(PASSED)


def test_every_kind_of_mark_has_its_place():
    found = titles(FAILED)

    assert "overlap interruption: 1.00 to 1.50 s" in found
    assert "disclosure a computer: 0.20 to 0.90 s" in found
    assert {"digit 4", "problem bot_silent", "hang-up: caller", "failed: stops"} <= set(found)


def test_the_waveform_is_high_where_there_is_sound():
    [caller, _] = [path.get("d", "") for path in ET.fromstring(waveform(PASSED)).iter("path")]
    steps = [int(step) for step in re.findall(r"(?<=\b1 )-?\d+", caller.partition("l")[2])]

    columns = [100 - sum(steps[:end]) for end in range(0, 200, 50)]
    assert columns[0] == columns[3] == 100
    assert sum(steps[:75]) < -40


def test_what_was_said_is_no_markup():
    said = (Mark(CALLER, 1.0, 2.0, "</text><script>"),)

    assert "<script>" not in waveform(replace(PASSED, marks=said))


def test_a_long_call_has_few_ticks_and_columns():
    long = replace(PASSED, said=bytes(150 * 32_000), heard=bytes(150 * 32_000))
    picture = waveform(long)

    assert len(picture) < 200_000
    assert len(list(ET.fromstring(picture).iter("text"))) <= 42


def test_a_call_without_sound_has_no_picture():
    assert waveform(NOT_RUN) == ""
