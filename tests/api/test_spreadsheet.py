"""CSV in which no cell is a formula."""

import csv
import io

import pytest

from bridge.api.spreadsheet import encode


def cells(*values):
    [row] = csv.reader(io.StringIO(encode([values]).decode()))
    return row


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "|x", "%x"]
)
def test_text_that_could_be_a_formula_begins_with_an_apostrophe(text):
    assert cells(text) == [f"'{text}"]


@pytest.mark.parametrize("text", ["", "sales", '"=1"', "a=1", "a,b", "two\nlines", "15550100001"])
def test_other_text_stays_as_it_is(text):
    assert cells(text) == [text]


def test_a_number_is_without_its_plus():
    assert cells("+15550100001") == ["15550100001"]


def test_lists_are_joined_and_nothing_is_empty():
    assert cells(["muted", "held"], None, 1.5) == ["muted held", "", "1.5"]
