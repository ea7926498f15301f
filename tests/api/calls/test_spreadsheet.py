"""CSV in which no cell is a formula."""

import csv
import io

import pytest

from bridge.api.calls.spreadsheet import encode


def cells(*values):
    [row] = csv.reader(io.StringIO(encode([values]).decode()))
    return row


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+1", "-1", "@SUM(A1)", " =1", "|x", "%x", '"=1"', "\xa0=1"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\ufe661", "\u207a1", "\u208c1"),
        *("\u200b=1", "\ufeff=1", "\u2060\u200d =1", "\xad=1", "\ufe0f=1", "\u3164=1", "\0=1"),
        *("\u200b\uff1d1", "\u202e=1"),
    ],
)
def test_text_that_could_be_a_formula_begins_with_an_apostrophe(text):
    assert cells(text) == [f"'{text}"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x; =1", "x;' =1"),
        ('x;"=1"', 'x;\'"=1"'),
        ("x\t=1", "x\t'=1"),
        ("\t=1", "\t'=1"),
        ("\r=1", "\r'=1"),
        ("two\n=1", "two\n'=1"),
        ("x\uff1b\uff1d1", "x\uff1b'\uff1d1"),
        ("x;;\u200b@A1;-1", "x;;'\u200b@A1;'-1"),
        ("=1;=2", "'=1;'=2"),
    ],
)
def test_so_does_what_another_separator_would_make_a_cell(text, shown):
    assert cells(text) == [shown]


def test_every_cell_is_in_quotation_marks():
    assert encode([["a", 1, None, 'b"c']]) == b'"a","1","","b""c"\r\n'


@pytest.mark.parametrize("text", ["", "sales", "a=1", "a;b=1", "a,b", "two\nlines", "é-1", "1-1"])
def test_other_text_stays_as_it_is(text):
    assert cells(text) == [text]


def test_a_number_is_without_its_plus():
    assert cells("+15550100001") == ["15550100001"]


def test_lists_are_joined_and_nothing_is_empty():
    assert cells(["muted", "held"], None, 1.5) == ["muted held", "", "1.5"]
