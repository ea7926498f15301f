"""Tickets: what is signed is read, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.ticket import MAX_LENGTH, MAX_NAME, PREFIX, Ticket, read, shown_name, sign

SECRET = bytes(range(32))
TICKET = Ticket(
    line="sales", call_id="00" + 30 * "A", expires=1_800_000_000, party="near", identity="agent"
)


@given(
    line=st.text(max_size=40).filter(lambda text: text.isprintable()),
    expires=st.integers(min_value=0, max_value=2**40),
    identity=st.text(max_size=128).filter(lambda text: text.isprintable()),
    secret=st.binary(min_size=16, max_size=64),
)
def test_what_was_signed_is_read_again(line, expires, identity, secret):
    ticket = Ticket(line, TICKET.call_id, expires, "far", identity)
    assert read(sign(ticket, secret), secret) == ticket


@pytest.mark.parametrize("name", ["", "Bot"])
def test_a_ticket_says_that_its_holder_is_a_machine(name):
    ticket = replace(TICKET, name=name, machine=True)
    assert read(sign(ticket, SECRET), SECRET) == ticket


def test_tickets_of_other_parties_or_identities_differ():
    others = [replace(TICKET, party="far"), replace(TICKET, identity="boss"), TICKET]
    assert len({sign(ticket, SECRET) for ticket in others}) == 3


def test_a_ticket_fits_into_a_url_as_it_is():
    assert set(sign(TICKET, SECRET)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    )


def test_another_secret_reads_nothing():
    assert read(sign(TICKET, SECRET), bytes(32)) is None


@given(name=st.text(max_size=20))
def test_a_name_is_kept_as_it_can_be_shown(name):
    named = replace(TICKET, name=shown_name(name))
    assert read(sign(named, SECRET), SECRET) == named
    assert shown_name("Ann\n" + "x" * 200) == "Ann" + "x" * (MAX_NAME - 3)


@given(st.data())
def test_a_changed_character_makes_it_worthless_or_changes_nothing(data):
    text = sign(TICKET, SECRET)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.="))
    changed = text[:place] + other + text[place + 1 :]
    # The last character of base64 has bits that say nothing.
    assert read(changed, SECRET) in (None, TICKET)


def test_a_signature_is_for_its_own_words_only():
    said, signature = sign(TICKET, SECRET).split(".")
    other, _ = sign(replace(TICKET, line="support"), SECRET).split(".")
    assert read(f"{said}.{signature}", SECRET) == TICKET
    assert read(f"{other}.{signature}", SECRET) is None


@pytest.mark.parametrize(
    "text",
    ["", PREFIX, f"{PREFIX}.", f"{PREFIX}a.b", f"{PREFIX}é.é", "demo", PREFIX + MAX_LENGTH * "A"],
)
def test_what_is_no_ticket_is_none(text):
    assert read(text, SECRET) is None


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text):
    assert read(text, SECRET) is None
    assert read(PREFIX + text, SECRET) is None
