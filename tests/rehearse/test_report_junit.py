from xml.etree import ElementTree as ET

from bridge.rehearse.report_junit import explain, junit
from bridge.rehearse.result import Check
from tests.rehearse.results import ALL, FAILED


def read(*results):
    return ET.fromstring(junit(results))


def test_the_totals_are_those_of_the_scenarios():
    root = read(*ALL)
    [suite] = root

    for each in (root, suite):
        counted = [each.get(name) for name in ("tests", "failures", "errors", "skipped", "time")]
        assert counted == ["3", "1", "1", "0", "12.750"]
    assert suite.get("timestamp") == "2026-11-25T17:00:00.000Z"


def test_a_scenario_is_a_test_case():
    cases = read(*ALL).findall("./testsuite/testcase")

    assert [case.get("name") for case in cases] == ["opening-hours", "barge-in", "no-bot"]
    assert [len(case.findall("failure") + case.findall("error")) for case in cases] == [0, 1, 1]
    assert {case.get("file") for case in cases} == {"scenarios/opening-hours.toml"}
    assert cases[0].get("time") == "4.250"


def test_one_failure_tells_all_failed_checks():
    [failure] = read(FAILED).iter("failure")

    assert failure.get("message") == "stops, digits"
    assert failure.text == (
        "stops at 2.00 s: expected within 400 ms, got spoke on for 3120 ms\n"
        "digits: expected 42, got 4 <missing 2>"
    )


def test_each_check_is_a_property():
    found = {each.get("name"): each.get("value") for each in read(FAILED).iter("property")}

    assert found["title"] == "It stops & listens"
    assert found["greeting"] == "passed: 0.30 s"
    assert found["digits"] == "failed: 4 <missing 2>"


def test_characters_that_xml_does_not_have_are_replaced():
    [error] = read(*ALL).iter("error")

    assert error.text == "connection refused \N{REPLACEMENT CHARACTER}[31m<now>"


def test_no_scenario_is_an_empty_suite():
    root = read()

    assert root.get("tests") == "0"
    assert root.findall("./testsuite/testcase") == []


def test_a_check_without_a_moment_is_told_without_one():
    assert explain(Check("x", False, "a", "b")) == "x: expected a, got b"
