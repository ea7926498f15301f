"""The report's tables of sockets, playback, agents and telephones."""

from tests.bench.generators.talks import Talked
from tests.bench.reports.reading import BUSY
from tests.bench.reports.service_report import (
    SOCKET_HEADS,
    TELEPHONE_HEADS,
    TIME_HEADS,
    notes,
    sockets,
    telephones,
    times,
)
from tests.bench.reports.targets import Results
from tests.bench.reports.test_reading import BUSY_READING, CALM
from tests.bench.reports.test_service_targets import dialled, echoed, load, played, telephone


def test_a_line_of_sockets_has_a_cell_for_each_head():
    (line,) = sockets([load()])
    assert len(line) == len(SOCKET_HEADS)
    assert line[2:4] == ("0.40", "100.0")


def test_times_tell_how_many_there_were():
    talked = Talked(turns=20, stops=[0.05] * 19)
    lines = times(Results(played=played(), talked=talked, dialled=dialled(), pipecat=echoed()))
    assert all(len(line) == len(TIME_HEADS) for line in lines)
    assert lines[0][:3] == ("an asset that was asked for is heard", "20 of 20", "50.0")
    assert lines[3][1] == "19 of 20"
    assert lines[4][1:3] == ("0 of 20", "")
    assert lines[6][:3] == ("speech is back from Pipecat", "40 of 40", "100.0")
    assert lines[-1] == ("50 telephones called at once are connected", "1 of 1", *["800.0"] * 3)


def test_a_line_of_telephones_has_a_cell_for_each_head():
    (line,) = telephones(Results(telephones=[telephone(1.1)]))
    assert len(line) == len(TELEPHONE_HEADS)
    assert line[2:5] == ("1.100", "1.000", "1.100")


def test_the_wait_for_the_end_of_speech_stands_beside_the_answers():
    assert "0.7 s of silence" in notes(None, Talked(end_seconds=0.7))[0]


def test_nothing_is_told_of_what_was_not_measured():
    assert times(Results()) == notes(None, None) == []


def test_times_of_a_busy_machine_are_not_shown_but_its_ratios_are():
    results = Results(played=played(), telephones=[telephone(1.1)], readings={"agent": CALM})
    results.readings |= {"playback": BUSY_READING, "a telephone": BUSY_READING}
    assert times(results)[0][2:] == (BUSY, BUSY, BUSY)
    assert times(results, masked=False)[0][2] == "50.0"
    (line,) = telephones(results)
    assert line[2:7] == (BUSY, BUSY, "1.100", "1.000", "1.200")
    assert set(line[7:]) == {BUSY}
