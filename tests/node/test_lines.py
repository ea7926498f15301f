"""How lines are set: what is written, what is in force, and what every node sees of it."""

import pytest

from bridge.call.model import LineName
from bridge.errors import LineDisabled
from bridge.node.lines import InboundAction, InboundMode, LineConfig, Lines, with_changes
from tests.support.databases import open_database

SALES, SUPPORT = LineName("sales"), LineName("support")
OFF = LineConfig(calls_enabled=False)


@pytest.fixture
async def database(engine):
    kept = open_database(engine)
    yield kept
    await kept.aclose()


@pytest.fixture
async def off():
    return []


@pytest.fixture
async def lines(database, off):
    made = Lines(database, {SALES: ["+15550109000"]})
    made.follow_switch_off(off.append)
    return made


async def test_a_fresh_line_is_on_and_lets_calls_ring(lines):
    lines.check_on(SALES)
    assert lines.admit(SALES) is InboundAction.RING
    assert lines.config(SALES) == LineConfig(calls_enabled=True, mode=InboundMode.MANUAL)


async def test_settings_take_effect_when_the_line_connects(lines):
    wanted = LineConfig(mode=InboundMode.REJECT)
    await lines.put(SALES, wanted)
    assert (lines.stored(SALES), lines.config(SALES)) == (wanted, LineConfig())
    await lines.connect(SALES)
    assert lines.config(SALES) == wanted


@pytest.mark.parametrize(
    ("mode", "welcome"),
    [
        ("manual", InboundAction.RING),
        ("webhook", InboundAction.ACCEPT),
        ("reject", InboundAction.REJECT),
        ("bot", InboundAction.ACCEPT),
        ("ivr", InboundAction.ACCEPT),
        ("ai", InboundAction.ACCEPT),
        ("stream", InboundAction.ACCEPT),
    ],
)
async def test_each_mode_meets_a_call_in_its_way(lines, mode, welcome):
    await lines.put(SALES, LineConfig(mode=InboundMode(mode)))
    await lines.connect(SALES)
    assert lines.admit(SALES) is welcome


async def test_a_line_whose_calls_are_switched_off_takes_none(lines, off):
    await lines.put(SALES, OFF)
    lines.check_on(SALES)
    await lines.connect(SALES)
    with pytest.raises(LineDisabled, match="callsEnabled"):
        lines.check_on(SALES)
    assert off == [SALES]


async def test_a_line_that_is_not_connected_takes_none_until_it_is_again(lines, off):
    await lines.disconnect(SALES)
    with pytest.raises(LineDisabled, match="not connected"):
        lines.check_on(SALES)
    assert off == [SALES]
    await lines.connect(SALES)
    lines.check_on(SALES)


async def test_a_switched_off_line_is_reported_once(lines, off):
    await lines.disconnect(SALES)
    await lines.disconnect(SALES)
    await lines.reload()
    assert off == [SALES]


async def test_lines_are_set_apart(lines):
    await lines.put(SALES, OFF)
    await lines.connect(SALES)
    lines.check_on(SUPPORT)


async def test_a_restart_changes_nothing(lines, database):
    await lines.put(SALES, LineConfig(mode=InboundMode.WEBHOOK, provider_token="secret"))
    await lines.connect(SALES, ["Call"])
    await lines.put(SALES, OFF)
    again = Lines(database, {})
    await again.reload()
    assert again.config(SALES).provider_token == "secret"
    assert again.stored(SALES) == OFF
    assert again.session(SALES).subscribed == ("Call",)


async def test_another_node_sees_a_change_once_it_looks(lines, database):
    ended: list[LineName] = []
    other = Lines(database, {})
    other.follow_switch_off(ended.append)
    await lines.disconnect(SALES)
    other.check_on(SALES)
    await other.reload()
    assert ended == [SALES]
    with pytest.raises(LineDisabled):
        other.check_on(SALES)


async def test_connecting_without_subscriptions_keeps_the_last_ones(lines):
    await lines.connect(SALES, ["Call", "Message"])
    await lines.connect(SALES)
    assert lines.session(SALES).subscribed == ("Call", "Message")


async def test_a_session_shows_the_first_number_in_digits(lines):
    assert lines.session(SALES).number == "15550109000"
    assert lines.session(SUPPORT).number == ""


def test_the_providers_token_stands_in_no_log():
    assert "secret" not in repr(LineConfig(provider_token="secret"))


def test_fields_that_are_none_stay_unchanged():
    config = LineConfig(greeting="Hello")
    assert with_changes(config, greeting=None, record=True) == LineConfig(
        greeting="Hello", record=True
    )
