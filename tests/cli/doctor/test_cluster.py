"""The other machines, as real nodes answer."""

import pytest

from bridge.cli.doctor import cluster
from bridge.cli.doctor.cluster import Answer, ask, check_cluster, evaluate, evaluate_url, registered
from bridge.cluster.transports import NetworkTransport
from bridge.db.database import wall_time
from bridge.http.node_signature import NodeSigner, RowSigner
from bridge.settings.model import Cluster, Data, Settings
from bridge.stores.nodes import Member
from tests.cli.doctor.surroundings import assert_fails, assert_ok, assert_warns, only, surroundings
from tests.support.machine import free_port
from tests.support.two_nodes import SECRET, two_nodes

HERE, THERE = "a" * 16, "b" * 16
OTHER = Member(node=7, boot="c" * 16, machine=THERE, url="http://10.0.0.6:8081")
CLUSTER = Cluster(url="http://10.0.0.5:8081", secret=SECRET)


async def answer(member, secret=SECRET):
    transport = NetworkTransport(NodeSigner(node=0, boot="", secret=secret, now=wall_time))
    try:
        return await ask(member, transport)
    finally:
        await transport.aclose()


def own_of(node):
    siblings = node.bridge.cluster.siblings
    assert siblings is not None
    return siblings.members.own


def level(*answers, running=False):
    return list(evaluate(answers, own=HERE, running=running, cluster=CLUSTER))


async def test_a_machine_with_our_secret_answers_for_its_node():
    async with two_nodes(machines=True) as (_, other):
        found = await answer(own_of(other))
    assert (found.refusal, found.failure) == ("", "")


async def test_a_machine_with_another_secret_says_what_to_change():
    async with two_nodes(machines=True) as (_, other):
        found = await answer(own_of(other), "another secret" * 3)
    assert "cluster.secret" in found.refusal
    told = only(level(found))
    assert_fails(told, "does not take our signature", setting="cluster.secret")
    assert SECRET not in told.found + told.fix


async def test_a_process_that_is_another_by_now_is_no_answer():
    async with two_nodes(machines=True) as (_, other):
        own = own_of(other)
        former = Member(node=own.node, boot=HERE, machine=own.machine, url=own.url)
        found = await answer(former)
    assert found.refusal or found.failure


async def test_nobody_at_the_address_is_told():
    gone = Member(node=7, boot=HERE, machine=THERE, url=f"http://127.0.0.1:{free_port()}")
    found = await answer(gone)
    assert_fails(only(level(found)), "127.0.0.1", "10.0.0.5", setting="cluster.url")


async def test_a_machine_whose_row_is_not_signed_is_told():
    found = await answer(Member(node=7, boot=HERE, machine=THERE))
    assert_fails(only(level(found)), "signed by our secret", "10.0.0.5", setting="cluster.url")


def test_machines_that_answer_are_counted_with_their_nodes():
    more = Member(node=8, boot="d" * 16, machine=THERE, url=OTHER.url)
    found = only(level(Answer(OTHER), Answer(more)))
    assert_ok(found, "10.0.0.6", "nodes 7, 8")


def test_this_machine_is_looked_at_while_it_runs():
    own = Member(node=1, boot=HERE, machine=HERE, url=CLUSTER.url)
    assert_ok(only(level(Answer(own, failure="no answer"))), "no other machine")
    failed, exclusive = level(Answer(own, failure="no answer"), running=True)
    assert_fails(failed, "this machine at http://10.0.0.5:8081", setting="cluster.url")
    assert_ok(exclusive)
    unknown, _ = level(running=True)
    assert_fails(unknown, "does not know it", setting="data.url")


def test_two_machines_at_one_address_are_told():
    twin = Member(node=8, boot="d" * 16, machine=HERE, url=OTHER.url)
    found = level(Answer(OTHER), Answer(twin))
    assert_fails(found[0], "2 machines are registered", setting="cluster.url")


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://10.0.0.5:8081", False),
        ("http://bridge-1:8081", False),
        ("https://203.0.114.5:8081", False),
        ("http://203.0.114.5:8081", True),
    ],
)
def test_a_public_address_without_encryption_is_told(url, warns):
    found = evaluate_url(Cluster(url=url, secret=SECRET))
    assert len(found) == warns
    if warns:
        assert_warns(only(found), "not encrypted", setting="cluster.url")


@pytest.mark.postgresql
def test_only_nodes_that_live_are_asked(postgres_server):
    with postgres_server.database() as name:
        url = postgres_server.tcp_url(name)
        rows = [
            ("1", 1, "null", "null"),
            ("2", 2, "extract(epoch FROM now()) + 60", "null"),
            ("3", 3, "extract(epoch FROM now()) - 60", "null"),
            ("4", 4, "null", "1"),
        ]
        for boot, node, lease, ended in rows:
            postgres_server.execute(
                "INSERT INTO nodes (boot, node, run, machine, url, started_at, lease_until, ended_at) "
                f"VALUES ('{boot}', {node}, '', 'm', 'http://10.0.0.5:8081', 0, {lease}, {ended})",
                database=name,
            )
        found = registered(url, RowSigner(SECRET))
        unsigned = registered(url, RowSigner())
    assert [member.node for member in found.members] == [1, 2]
    assert [member.url for member in found.members] == ["", ""]
    assert [member.url for member in unsigned.members] == ["http://10.0.0.5:8081"] * 2
    assert abs(found.ahead_seconds) < 1.0


async def test_one_machine_alone_asks_nobody():
    async with surroundings(Settings()) as around:
        assert_ok(only(await check_cluster(around)), "one machine")


async def test_without_the_database_the_port_is_still_tried(tmp_path):
    settings = Settings(
        data=Data(dir=str(tmp_path), url=f"postgresql://b@127.0.0.1:{free_port()}/b"),
        cluster=Cluster(url=f"http://127.0.0.1:{free_port()}", secret=SECRET),
    )
    async with surroundings(settings) as around:
        port, others = await check_cluster(around)
    assert_ok(port, "can be listened on")
    assert_warns(others, "not known")


def test_an_address_of_another_machine_cannot_be_listened_on():
    found = cluster.try_port(Cluster(url="http://192.0.2.1:8081", secret=SECRET))
    assert_fails(found, "cluster.url", setting="cluster.url")
