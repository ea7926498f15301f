"""Deliveries: in order for each call, again until taken, never lost, dead in the end."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, cast

import pytest

from bridge.backoff import Backoff
from bridge.errors import NotFound
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.metrics.events import EventMetrics
from bridge.stores import deliveries, endpoints, events, lost_nodes, nodes
from bridge.stores.endpoints import Endpoint
from bridge.stores.nodes import Member
from bridge.webhooks.delivery import MAX_CONCURRENT, RetryPolicy, Webhooks
from bridge.wire.call_event import CallEvent, CallSnapshot
from bridge.wire.signature import timestamped
from bridge.wire.webhook.formats import Format, Style
from tests.support.databases import open_database
from tests.support.servers.receiver import receiving
from tests.support.waiting import until, until_answer

QUICK = RetryPolicy(backoff=Backoff(0.01, 0.05), give_up_seconds=3600, answer_seconds=2)
SECRET = "whsec_AAAA"
OWN = Member(node=0, boot="00" * 8)


class Counted:
    def __init__(self):
        self.attempts = []
        self.waiting = None

    def webhook_attempt(self, outcome):
        self.attempts.append(outcome)

    def set_webhooks_waiting(self, count):
        self.waiting = count


class World:
    """A table of deliveries, and who delivers them."""

    def __init__(self, engine, allow=("127.0.0.0/8",)):
        self.database = open_database(engine)
        self.http = Http(Guard(allow=[ip_network(net) for net in allow], require_tls=False))
        self.counted = Counted()
        self.count = 0
        self.running = None
        self.webhooks = None

    def start(self, retry_policy=QUICK):
        self.webhooks = Webhooks(
            self.database,
            self.http,
            node=0,
            counters=cast("EventMetrics", self.counted),
            retry_policy=retry_policy,
        )
        self.running = asyncio.get_running_loop().create_task(self.webhooks.run())

    async def stop(self):
        if self.running:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    async def register(self, url, name="wh_1", **more):
        defaults: dict[str, Any] = {
            "style": Style.NATIVE,
            "created_at": 0.0,
            "secret": SECRET,
        }
        made = Endpoint(
            id=name,
            line="sales",
            url=url,
            **(defaults | more),
        )
        await self.database.run(lambda connection: endpoints.put(connection, made))

    async def happen(self, kind, call="AA", callback=None, **data):
        self.count += 1
        identity = f"{self.count:02d}" + call * 15
        at = datetime.now(UTC)
        shown = CallSnapshot(
            id="00" + call * 15, direction="outbound", state="active", peer="1", started_at=at
        )
        event = CallEvent(
            id=f"evt_{identity}", type=kind, line="sales", at=at, call=shown, data=data
        )
        await self.database.run(
            lambda connection: events.insert(connection, event, own=OWN, callback=callback)
        )
        if self.webhooks:
            self.webhooks.wake()
        return event

    async def dead(self):
        return await self.database.run(
            lambda connection: deliveries.dead(connection, "sales", after=0, limit=100)
        )

    async def waiting(self):
        return await self.database.run(lambda connection: deliveries.waiting(connection, 0))

    async def nothing_waits(self):
        return not await self.waiting()


@pytest.fixture
async def world(engine):
    made = World(engine)
    yield made
    await made.stop()
    await made.http.aclose()
    await made.database.aclose()


@pytest.fixture
async def receiver():
    async with receiving() as running:
        yield running


def types(receiver):
    return [taken.json["type"] for taken in receiver.taken]


async def test_an_event_is_delivered_once_signed_and_with_its_id(world, receiver):
    await world.register(receiver.url + "/hook", headers={"X-Secret": "s"})
    world.start()
    event = await world.happen("call.ended", reason="hangup")
    await until(lambda: receiver.taken)
    [taken] = receiver.taken
    assert taken.path == "/hook"
    assert taken.headers["webhook-id"] == event.id == taken.json["id"]
    assert taken.headers["x-secret"] == "s"
    signature = taken.headers["bridge-signature"]
    at = int(signature.partition(",")[0].removeprefix("t="))
    assert at == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    assert signature == timestamped(SECRET, taken.body, now=at)

    async def none_waits():
        return not await world.waiting()

    await until_answer(none_waits)
    assert world.counted.attempts == ["delivered"]


async def test_only_wanted_events_are_delivered(world, receiver):
    await world.register(receiver.url, events=("call.ended",))
    world.start()
    await world.happen("call.ringing")
    await world.happen("call.ended")
    await until(lambda: receiver.taken)
    assert types(receiver) == ["call.ended"]
    await until_answer(world.nothing_waits)


async def test_an_inactive_endpoint_is_told_nothing(world, receiver):
    await world.register(receiver.url, active=False)
    await world.register(receiver.url, name="wh_2")
    world.start()
    await world.happen("call.ended")
    await until(lambda: receiver.taken)
    await until_answer(world.nothing_waits)
    assert len(receiver.taken) == 1


async def test_a_forms_endpoint_gets_a_form(world, receiver):
    await world.register(receiver.url, style=Style.WAGO, format=Format.FORM, token="k")
    world.start()
    await world.happen("call.ended", reason="hangup")
    await until(lambda: receiver.taken)
    assert receiver.taken[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert receiver.taken[0].json["event"]["Type"] == "v1.call.terminate"


async def test_the_order_of_a_calls_events_survives_refusals(world, receiver):
    refusals = iter([503, 200, 500, 429, 200, 302])
    receiver.answer = lambda taken: next(refusals, 200)
    await world.register(receiver.url)
    kinds = ["call.initiated", "call.ringing", "call.answered", "call.active", "call.ended"]
    for kind in kinds:
        await world.happen(kind)
    world.start()
    await until(lambda: len(receiver.taken) == 5)
    assert types(receiver) == kinds
    assert world.counted.attempts.count("failed") == 4


async def test_one_calls_refused_event_holds_up_no_other_call(world, receiver):
    receiver.answer = lambda taken: 500 if "AAAA" in taken.json["callId"] else 200
    await world.register(receiver.url)
    world.start()
    await world.happen("call.ringing", call="AA")
    await world.happen("call.ended", call="AA")
    await world.happen("call.ringing", call="BB")
    await world.happen("call.ended", call="BB")
    await until(lambda: len(receiver.taken) == 2)
    assert types(receiver) == ["call.ringing", "call.ended"]
    assert {taken.json["type"] for taken in receiver.refused} == {"call.ringing"}


async def test_a_receiver_that_is_down_gets_everything_once_it_is_up(world):
    async with receiving() as gone:
        url = gone.url
    await world.register(url)
    world.start()
    for kind in ("call.ringing", "call.ended"):
        await world.happen(kind)
    await until(lambda: "failed" in world.counted.attempts)
    async with receiving(port=int(url.rpartition(":")[2])) as receiver:
        await until(lambda: len(receiver.taken) == 2)
        assert types(receiver) == ["call.ringing", "call.ended"]


async def test_a_slow_receiver_has_failed_after_a_while(world, receiver):
    receiver.delay = 30
    await world.register(receiver.url)
    world.start(RetryPolicy(backoff=Backoff(60, 900), answer_seconds=0.05))
    await world.happen("call.ended")
    await until(lambda: world.counted.attempts == ["failed"])
    assert receiver.taken == []


async def test_no_receiver_has_more_than_so_many_requests_at_once(world, receiver):
    receiver.delay = 0.05
    await world.register(receiver.url)
    for number in range(3 * MAX_CONCURRENT):
        await world.happen("call.ended", call=f"{number:02X}")
    world.start()
    await until(lambda: len(receiver.taken) == 3 * MAX_CONCURRENT)
    assert receiver.most <= MAX_CONCURRENT


async def test_a_stuck_receiver_holds_up_no_other(world, receiver):
    async with receiving() as stuck:
        stuck.delay = 30
        await world.register(stuck.url, name="wh_stuck")
        await world.register(receiver.url)
        world.start()
        for number in range(2 * MAX_CONCURRENT):
            await world.happen("call.ended", call=f"{number:02X}")
        await until(lambda: len(receiver.taken) == 2 * MAX_CONCURRENT)


async def test_a_delivery_that_is_never_taken_dies_and_can_be_replayed(world, receiver):
    receiver.answer = lambda taken: 500
    await world.register(receiver.url)
    world.start(RetryPolicy(backoff=Backoff(0.01, 900), give_up_seconds=0.0))
    await world.happen("call.ringing")
    await world.happen("call.ended")
    await until(lambda: world.counted.attempts == ["dead", "dead"])
    first, second = await world.dead()
    assert (first.error, first.attempts) == ("answered 500", 1)
    receiver.answer = lambda taken: 200

    assert world.webhooks is not None
    assert await world.webhooks.replay("sales", {second.seq}) == 1
    assert await world.webhooks.replay("sales", None) == 1
    await until(lambda: len(receiver.taken) == 2)
    assert await world.dead() == []


async def test_another_lines_dead_deliveries_cannot_be_replayed(world, receiver):
    receiver.answer = lambda taken: 500
    await world.register(receiver.url)
    world.start(RetryPolicy(give_up_seconds=0.0))
    await world.happen("call.ended")
    await until(lambda: world.counted.attempts == ["dead"])
    assert world.webhooks is not None
    assert await world.webhooks.replay("other", None) == 0


async def test_what_was_on_its_way_when_the_process_ended_is_delivered_by_the_next(world, receiver):
    receiver.delay = 30
    await world.register(receiver.url)
    world.start()
    await world.happen("call.ringing")
    await world.happen("call.ended")
    await until(lambda: receiver.now)
    await world.stop()
    receiver.delay = 0
    world.start()
    await until(lambda: len(receiver.taken) == 2)
    assert types(receiver) == ["call.ringing", "call.ended"]


async def test_a_deleted_endpoint_is_told_nothing_more(world, receiver):
    await world.register(receiver.url)
    await world.happen("call.ringing")
    await world.database.run(lambda connection: endpoints.delete(connection, "sales", "wh_1"))
    await until_answer(world.nothing_waits)
    with pytest.raises(NotFound):
        await world.database.run(lambda connection: endpoints.get(connection, "sales", "wh_1"))


async def test_a_calls_own_callback_is_told_in_its_words(world, receiver):
    callback = deliveries.Callback(receiver.url + "/status", Style.WAVIX)
    world.start()
    await world.happen("call.ringing", callback=callback)
    await world.happen("leg.silent", callback=callback)
    await world.happen("call.ended", callback=callback)
    await until(lambda: len(receiver.taken) == 2)
    assert [taken.json["event_type"] for taken in receiver.taken] == ["ringing", "completed"]
    assert "webhook-signature" not in receiver.taken[0].headers


async def test_an_address_that_may_not_be_reached_is_not(engine, receiver):
    closed = World(engine, allow=())
    await closed.register(receiver.url)
    closed.start(RetryPolicy(give_up_seconds=0.0))
    await closed.happen("call.ended")
    await until(lambda: closed.counted.attempts == ["dead"])
    [dead] = await closed.dead()
    assert "net.allow" in dead.error
    assert receiver.taken == []
    await closed.stop()
    await closed.http.aclose()
    await closed.database.aclose()


async def test_nodes_that_are_no_more_leave_their_deliveries_to_another(world, receiver):
    await world.register(receiver.url)
    await world.happen("call.ended")
    await world.database.run(lambda c: c.execute("UPDATE deliveries SET node = 3") and None)
    await world.database.run(nodes.register, OWN, launch_id="run", now=0.0)
    await world.database.run(lost_nodes.assign, OWN)
    world.start()
    await until(lambda: receiver.taken)


def test_pauses_grow_to_a_longest_one():
    pauses = [RetryPolicy().delay(attempts) for attempts in range(1, 40)]
    assert 1.0 <= pauses[0] <= 1.1
    assert 8.0 <= pauses[3] <= 8.8
    assert all(900 <= pause <= 990 for pause in pauses[12:])


async def test_a_former_secret_signs_for_a_day(world):
    for secret, at in (("one", 0.0), ("two", 1000.0)):
        await world.register("https://a.example/", secret=secret, created_at=at)
    [kept] = await world.database.run(lambda connection: endpoints.of_line(connection, "sales"))
    day = endpoints.OVERLAP_SECONDS
    assert (kept.secret, kept.former_secrets(999.0 + day)) == ("two", ["one"])
    assert kept.former_secrets(1000.0 + day) == []


async def test_what_is_due_is_delivered_before_the_end(world, receiver):
    receiver.delay = 0.1
    await world.register(receiver.url)
    world.start()
    for call in ("AA", "BB"):
        await world.happen("call.initiated", call)
        await world.happen("call.ended", call)
    await world.webhooks.flush(5.0)
    assert len(receiver.taken) == 4
    assert await world.waiting() == 0


async def test_the_end_waits_for_no_receiver_that_hangs_nor_for_one_that_is_not_there(
    world, receiver
):
    receiver.delay = 30.0
    await world.register(receiver.url)
    await world.register("http://127.0.0.1:9", name="wh_2")
    world.start(RetryPolicy(backoff=Backoff(60.0, 900.0)))
    await world.happen("call.ended")
    async with asyncio.timeout(2):
        await world.webhooks.flush(0.3)
    await world.stop()
    assert await world.waiting() == 2
