"""The page on compatibility says what the checks say, of the clients that there are."""

from tests.docs.compatibility import page
from tests.stacks.checks import ROWS
from tests.stacks.clients import CLIENTS
from tests.stacks.results import FAILS, published


def test_the_page_has_an_outcome_of_every_check_of_every_client():
    assert set(published()) == {(client, check) for client in CLIENTS for check in ROWS}


def test_what_does_not_work_is_what_the_code_says():
    assert {key for key, one in published().items() if one["result"] == "fails"} == set(FAILS)


def test_what_a_client_cannot_do_has_its_reason_on_the_page():
    text = page()
    without = [one for one in published().values() if one["result"] != "works"]
    assert without
    assert [one for one in without if not one["reason"] or one["reason"] not in text] == []


def test_the_page_names_every_client_and_check():
    text = page()
    named = [client.title for client in CLIENTS.values()] + [row.title for row in ROWS.values()]
    assert [title for title in named if title not in text] == []
