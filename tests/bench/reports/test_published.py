"""The bench's figures as the documents show them."""

import re

import pytest

from tests.bench.reports.published import (
    TABLES,
    gathered,
    markdown,
    measured,
    publish,
    summary,
)
from tests.bench.reports.reading import BUSY
from tests.bench.reports.rows import rows
from tests.bench.reports.targets import Results, verdicts
from tests.bench.reports.test_reading import BUSY_READING, CALM
from tests.bench.reports.test_report import everything
from tests.bench.reports.test_service_targets import load
from tests.bench.reports.test_targets import in_turn
from tests.bench.reports.verdict import Verdict
from tests.bench.studies.paths import JANUS, LIBWEBRTC, OURS


def test_a_column_is_left_out_where_the_machine_was_busy_for_most_of_it():
    heads = ("what", "ratio", "delay")
    lines = [("echo", "0.4", BUSY), ("passthrough", "0.2", BUSY), ("agent", "", "54 ms")]
    assert measured(heads, lines) == (["what", "ratio"], [("echo", "0.4"), ("passthrough", "0.2")])
    calm = [("echo", "0.4", "1 ms"), ("passthrough", "0.2", BUSY), ("agent", "", "54 ms")]
    assert measured(heads, calm) == (list(heads), calm)


def verdict(what, measured, *, met=True, target="<= 5 ms", busy=False):
    return Verdict(what, target, measured, met, busy=busy)


def test_a_target_at_several_numbers_of_legs_is_one_line():
    found = [
        verdict("24 legs: echo, delay p95", "0.5 ms"),
        verdict("48 legs: echo, delay p95", "1 ms"),
    ]
    assert gathered(found) == [
        ("echo, delay p95, at 24 / 48 legs", "<= 5 ms", "0.5 ms / 1 ms", "met")
    ]


def test_the_one_that_missed_is_marked():
    found = [verdict("24 legs: x", "1"), verdict("48 legs: x", "9", met=False)]
    assert gathered(found)[0][2:] == ("1 / **9**", "**missed**")


@pytest.mark.parametrize(
    ("whats", "line"),
    [
        (("50 sockets, a: CPU", "50 sockets, b: CPU"), "50 sockets, a / b: CPU"),
        (("1% loss, rate", "10% loss, rate"), "1% / 10% loss, rate"),
        (("2 s after 1% loss: x", "2 s after 5% loss: x"), "2 s after 1% / 5% loss: x"),
        (("memory",), "memory"),
    ],
)
def test_like_targets_go_together(whats, line):
    assert [one[0] for one in gathered([verdict(what, "1") for what in whats])] == [line]


def test_targets_that_differ_in_what_is_to_be_reached_stay_apart():
    found = [verdict("24 legs: x", "1"), verdict("48 legs: x", "1", target="<= 9 ms")]
    assert len(gathered(found)) == 2


def test_what_was_measured_is_there():
    results = everything()
    results.sockets = [load()]
    text = markdown(results, rows(results.runs), [verdict("memory", "1 MB")], about="a machine")
    assert text.startswith("a machine.\n\n| server ")
    assert "| bridge, echo " in text
    assert "| 24   |               | 0.50 % of a core | 5.0 / 5.0 ms" in text
    assert "| 90, extrapolated | 1.0 /" in text
    assert "| 0.40 % of a core | 100.0 / 100.0 ms" in text
    assert "| memory | <= 5 ms | 1 MB     | met |" in text


def test_the_summary_has_servers_and_sockets():
    results = everything()
    results.sockets = [load()]
    text = summary(results, rows(results.runs))
    assert "| bridge, echo " in text
    assert "% per leg" in text
    assert "% per socket" in text


def busy_results():
    """A bridge, Janus and sockets on a busy machine, and the ratio that they had in turn."""
    results = everything()
    for one in results.runs:
        one.windows[0].reading = BUSY_READING
    results.sockets = [load()]
    results.paths = in_turn("echo", 24, {OURS: 0.4, JANUS: 1.0, LIBWEBRTC: 0.8})
    results.readings = {one.load: BUSY_READING for one in results.paths}
    results.readings |= {results.sockets[0].name: BUSY_READING, "calm": CALM}
    return results


def test_a_busy_machine_shows_ratios_and_no_absolute_figure():
    results = busy_results()
    table = rows(results.runs, results.best)
    whole = markdown(results, table, verdicts(results, table), about="a machine")
    short = summary(results, table)
    assert (BUSY in whole, BUSY in short) == (True, False)
    for text in (whole, short):
        assert "% of a core" not in text
        assert not re.search(r"\d ms +\|", text.partition("| what ")[0].replace("60 ms ", ""))
    assert whole.index("0.40 (0.40 to 0.40)") < whole.index("| server")
    assert "| 2.5 x" in whole


def test_the_summary_of_a_busy_machine_has_the_ratios_alone():
    results = busy_results()
    lines = summary(results, rows(results.runs, results.best)).splitlines()
    echo = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert echo == ["bridge, echo", "0.40 / - / 0.50", "2.5 x"]


def test_a_target_that_was_not_judged_is_neither_met_nor_missed():
    found = [verdict("24 legs: x", "9", met=False, busy=True)]
    assert gathered(found)[0][2:] == (BUSY, "not judged")
    found.append(verdict("48 legs: x", "1"))
    assert gathered(found)[0][2:] == (f"{BUSY} / 1", "met")


def test_nothing_measured_is_nothing_written():
    assert markdown(Results(), [], [], about="a machine") == "a machine.\n"


def test_tables_take_the_place_of_those_that_are_there(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    publish(page, TABLES, "new")
    assert page.read_text() == "before\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nafter\n"


def test_a_page_without_a_place_for_tables_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before")
    with pytest.raises(ValueError, match="has no"):
        publish(page, TABLES, "new")
    assert page.read_text() == "before"
