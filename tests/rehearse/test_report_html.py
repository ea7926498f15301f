import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from bridge.rehearse.report_html import anchor, html
from tests.rehearse.results import ALL, FAILED, PASSED

VOID = {"meta", "input", "br"}


class Reader(HTMLParser):
    """Reads a page, and whether each element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.ids, self.text = [], [], [], ""

    @override
    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href") if given.get(name)]
        self.ids += [given["id"]] if "id" in given else []

    @override
    def handle_startendtag(self, tag, attrs):
        pass

    @override
    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    @override
    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def written():
    return html(ALL)


@pytest.fixture(scope="module")
def page(written):
    reader = Reader()
    reader.feed(written)
    return reader


def test_every_element_is_closed_and_each_id_given_once(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_it_needs_nothing_but_itself(page, written):
    other = [
        each for each in page.addresses if not each.startswith(("data:audio/webm;base64,", "#"))
    ]
    assert other == []
    assert not re.search(r"url\(|@import|https?://", written)


def test_it_begins_with_how_many_passed_and_what_failed(page):
    text = page.text.partition("Show")[0]

    assert "1 of 3 scenarios passed" in text
    assert "It stops & listens stops, digits" in text
    assert f"#{anchor(FAILED)}" in page.addresses


def test_each_check_says_what_was_expected_and_what_was_seen(page):
    for check in FAILED.checks:
        assert f"{check.expected}{check.seen}" in page.text


def test_failed_scenarios_are_open(written):
    opened = re.findall(r'<details class="scenario (\w+)" id="[^"]+"( open)?>', written)

    assert opened == [("passed", ""), ("failed", " open"), ("failed", " open")]


def test_names_and_words_are_no_markup():
    odd = replace(PASSED, scenario="<b>", title="<script>alert(1)</script>", file='"><img src=x>')
    reader = Reader()
    reader.feed(html([odd]))

    assert "<script>alert(1)</script>" in reader.text
    assert reader.open == []
    assert not [each for each in reader.addresses if each == "x"]


def test_no_scenario_makes_a_page_too():
    assert "0 of 0 scenarios passed" in html([])
