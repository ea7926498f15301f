"""Signed links: what verify a path, and what does not."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from bridge.wire.signed_link import sign, verify

SECRET, PATH = b"a secret of all nodes", "/files/recordings/rec_1"
QUERY = dict(parse_qsl(urlsplit(sign(PATH, 1000, SECRET)).query))


def test_a_link_opens_its_path_until_it_is_over():
    assert urlsplit(sign(PATH, 1000, SECRET)).path == PATH
    assert verify(PATH, QUERY, SECRET, now=999.9)
    assert not verify(PATH, QUERY, SECRET, now=1000.0)


def test_a_link_opens_no_other_path():
    assert not verify(PATH + "2", QUERY, SECRET, now=0.0)


def test_a_link_of_another_secret_opens_nothing():
    assert not verify(PATH, QUERY, b"another", now=0.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": "2000"},
        {"expires": ""},
        {"expires": "-1"},
        {"expires": "\u0661\u0660\u0660\u0660"},
        {"expires": "9" * 5000},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "0" * 64},
    ],
)
def test_a_changed_link_opens_nothing(changed):
    assert not verify(PATH, QUERY | changed, SECRET, now=0.0)
