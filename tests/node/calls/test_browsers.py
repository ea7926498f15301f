"""Browsers: their offers, whose their legs are, and how a page that was reloaded gets its leg back."""

import asyncio

import pytest

from bridge.call import events
from bridge.call.model import EndReason, LegId, LegOwner, Party
from bridge.call.routing import LegRole
from bridge.errors import Forbidden, InvalidState, LegNotFound, LimitExceeded, SdpError
from bridge.node.running_legs import LEGS_PER_CALL
from tests.support.fake_node import ONE, TWO, Node, dial
from tests.support.waiting import until


@pytest.fixture
async def node():
    made = Node()
    yield made
    made.leave.set()
    await made.manager.aclose()


async def test_an_offer_adds_a_leg_to_the_call(node):
    call_id = await dial(node)
    leg_id, answer = await node.browsers.offer(
        node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR)
    )
    assert answer == "answer to offer"
    assert [leg.leg_id for leg in node.manager.live(ONE, call_id).legs()][1:] == [leg_id]
    assert node.figure("bridge_legs") == 2


async def test_a_bad_offer_adds_no_leg(node):
    call_id = await dial(node)
    with pytest.raises(SdpError):
        await node.browsers.offer(node.manager.live(ONE, call_id), "bad", LegRole(Party.NEAR))
    assert len(node.manager.live(ONE, call_id).legs()) == 1


async def test_a_crash_while_an_offer_is_answered_frees_what_the_leg_took(node):
    call_id = await dial(node)
    with pytest.raises(RuntimeError):
        await node.browsers.offer(node.manager.live(ONE, call_id), "crash", LegRole(Party.NEAR))
    assert node.made_browsers[0].closed


async def test_a_call_that_ends_while_an_offer_is_answered_takes_no_leg(node):
    call_id = await dial(node)
    node.leave.clear()
    offering = asyncio.create_task(
        node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR))
    )
    await until(lambda: node.made_browsers)
    node.manager.request(ONE, call_id, events.HangupRequested())
    node.leave.set()
    with pytest.raises(InvalidState):
        await offering
    assert node.made_browsers[0].closed
    assert not node.made_browsers[0].running
    assert node.figure("bridge_legs") == 0


async def test_offers_that_are_answered_together_do_not_pass_the_limit_of_legs(node):
    call_id = await dial(node)
    node.leave.clear()
    offers = [
        node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR))
        for _ in range(20)
    ]
    answering = asyncio.gather(*offers, return_exceptions=True)
    await until(lambda: len(node.made_browsers) == 20)
    node.leave.set()
    refused = [answer for answer in await answering if isinstance(answer, LimitExceeded)]
    assert len(refused) == 21 - LEGS_PER_CALL
    assert len(node.manager.live(ONE, call_id).legs()) == LEGS_PER_CALL
    assert sum(browser.closed for browser in node.made_browsers) == len(refused)


async def test_a_second_far_party_is_refused_and_freed(node):
    call_id = (await node.manager.open(ONE)).facts.call_id
    await node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.FAR))
    with pytest.raises(InvalidState):
        await node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.FAR))
    assert [browser.closed for browser in node.made_browsers] == [False, True]


async def test_a_further_offer_needs_a_browsers_leg(node):
    call_id = await dial(node)
    for leg_id in ("leg_0", node.legs[0].leg_id):
        with pytest.raises(LegNotFound):
            await node.browsers.reoffer(node.manager.live(ONE, call_id), "offer", leg_id)


async def test_closing_a_leg_that_has_left_does_nothing(node):
    call_id = await dial(node)
    await node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR))
    for _ in range(2):
        node.browsers.close(ONE, call_id, None)
    assert len(node.manager.live(ONE, call_id).legs()) == 1
    node.manager.request(ONE, call_id, events.HangupRequested())
    node.browsers.close(ONE, call_id, None)


# Owners, and legs that come back

AGENT, GUEST = LegOwner("near", "agent"), LegOwner("far", "guest")


async def joined(node: Node, call_id: str, owner: LegOwner | None) -> LegId:
    return (
        await node.browsers.offer(
            node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR, owner=owner)
        )
    )[0]


@pytest.mark.parametrize("made_by", [AGENT, None])
async def test_another_owner_neither_changes_nor_closes_a_leg(node, made_by):
    call_id = await dial(node)
    leg_id = await joined(node, call_id, made_by)
    with pytest.raises(Forbidden):
        await node.browsers.reoffer(node.manager.live(ONE, call_id), "offer", leg_id, owner=GUEST)
    with pytest.raises(Forbidden):
        node.browsers.close(ONE, call_id, leg_id, owner=GUEST)
    node.browsers.close(ONE, call_id, None, owner=GUEST)
    assert node.manager.live(ONE, call_id).leg(leg_id) is not None


@pytest.mark.parametrize("owner", [AGENT, None])
async def test_a_leg_that_its_owner_closed_comes_back_under_its_id(node, owner):
    call_id = await dial(node)
    leg_id = await joined(node, call_id, owner)
    node.manager.request(ONE, call_id, events.MuteRequested(muted=True, leg_id=leg_id))
    node.browsers.close(ONE, call_id, leg_id, owner=owner)
    assert node.manager.live(ONE, call_id).leg(leg_id) is None
    answer = await node.browsers.reoffer(
        node.manager.live(ONE, call_id), "again", leg_id, owner=owner
    )
    assert answer == "answer to again"
    runner = node.manager.live(ONE, call_id)
    assert runner.leg(leg_id) is node.made_browsers[1]
    assert runner.machine.legs.records[leg_id].muted
    assert runner.machine.legs.records[leg_id].role.owner == owner


async def test_a_leg_that_left_by_itself_comes_back_however_late_its_end_is_done(node):
    call_id = await dial(node)
    leg_id = await joined(node, call_id, AGENT)
    first = node.made_browsers[0]
    await until(lambda: first.running)
    first.emit(events.LegEnded(leg_id, EndReason.REMOTE_HANGUP))
    await node.browsers.reoffer(node.manager.live(ONE, call_id), "again", leg_id, owner=AGENT)
    first.emit(events.LegEnded(leg_id, EndReason.FAILED))
    assert node.manager.live(ONE, call_id).leg(leg_id) is node.made_browsers[1]


async def test_nobody_else_can_reopen_a_leg_that_left(node):
    call_id = await dial(node)
    leg_id = await joined(node, call_id, AGENT)
    node.browsers.close(ONE, call_id, leg_id, owner=AGENT)
    with pytest.raises(Forbidden):
        await node.browsers.reoffer(node.manager.live(ONE, call_id), "again", leg_id, owner=GUEST)


async def test_a_leg_that_others_ended_does_not_come_back(node):
    call_id = await dial(node)
    for end in (
        lambda leg_id: node.browsers.close(ONE, call_id, leg_id),
        lambda leg_id: node.manager.request(ONE, call_id, events.CloseRequested(leg_id)),
    ):
        leg_id = await joined(node, call_id, AGENT)
        end(leg_id)
        with pytest.raises(LegNotFound):
            await node.browsers.reoffer(
                node.manager.live(ONE, call_id), "again", leg_id, owner=AGENT
            )


async def test_of_two_returns_at_once_the_later_one_has_the_leg(node):
    call_id = await dial(node)
    leg_id = await joined(node, call_id, AGENT)
    node.browsers.close(ONE, call_id, leg_id, owner=AGENT)
    node.leave.clear()
    returns = [
        node.browsers.reoffer(node.manager.live(ONE, call_id), "again", leg_id, owner=AGENT)
        for _ in range(2)
    ]
    answering = asyncio.gather(*returns)
    await until(lambda: len(node.made_browsers) == 3)
    node.leave.set()
    await answering
    assert node.manager.live(ONE, call_id).leg(leg_id) is node.made_browsers[2]
    assert len(node.manager.live(ONE, call_id).legs()) == 2


PORTS = 10


@pytest.fixture
async def ten_ports():
    made = Node(ports=PORTS)
    yield made
    made.leave.set()
    await made.manager.aclose()


async def test_a_line_leaves_the_last_fifth_of_the_media_ports_to_others(ten_ports):
    node = ten_ports
    calls = [await dial(node), await dial(node)]
    for number in range(PORTS - PORTS // 5):
        await node.browsers.offer(
            node.manager.live(ONE, calls[number % 2]), "offer", LegRole(Party.NEAR)
        )
    with pytest.raises(LimitExceeded, match="media ports"):
        await node.browsers.offer(node.manager.live(ONE, calls[0]), "offer", LegRole(Party.NEAR))
    other = await dial(node, TWO)
    await node.browsers.offer(node.manager.live(TWO, other), "offer", LegRole(Party.NEAR))


async def test_offers_that_are_answered_together_do_not_pass_a_lines_share_of_ports(ten_ports):
    node = ten_ports
    call_id = await dial(node)
    node.leave.clear()
    offers = [
        node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR))
        for _ in range(PORTS)
    ]
    answering = asyncio.gather(*offers, return_exceptions=True)
    await until(lambda: len(node.made_browsers) == PORTS)
    node.leave.set()
    assert [type(answer) for answer in await answering].count(LimitExceeded) == PORTS // 5
