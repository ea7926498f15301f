"""What a machine answers at `cluster.url`, and on its public port."""

from dataclasses import replace

import aiohttp
import msgspec
import pytest

from bridge.api.siblings import ROUTES
from bridge.cluster.siblings import IDENTITY_PATH, NodeIdentity
from bridge.cluster.sockets import node_socket_path
from bridge.http.node_signature import NodeSigner
from bridge.wire.node_signature import HEADER, Request
from tests.support.forwarding import NEVER, SECOND, Owner, data, dial, post
from tests.support.inprocess import KEY
from tests.support.two_nodes import SECRET, two_nodes

CALL = f"/call/{SECOND}/test/large"


@pytest.fixture
async def owner():
    return Owner()


@pytest.fixture
async def machines(owner):
    async with two_nodes(routes=owner.routes, machines=True) as both:
        yield both


@pytest.fixture
async def stranger():
    async with aiohttp.ClientSession() as session:
        yield session


def url_of(node) -> str:
    return str(node.bridge.cluster.siblings.members.own.url)


def signer(node, *, secret: str = SECRET, ahead: float = 0.0) -> NodeSigner:
    """Return what signs as a node does, or nearly so."""
    members = node.bridge.cluster.siblings.members
    own = members.own
    return NodeSigner(
        node=own.node, boot=own.boot, secret=secret, now=lambda: members.now() + ahead
    )


def signed(first, second, method: str, target: str, body: bytes = b"", **more) -> dict[str, str]:
    to = second.bridge.cluster.siblings.members.own
    header = signer(first, **more).sign(Request(method, target, body), target=to.node, boot=to.boot)
    return {HEADER: header} | KEY


async def asked(stranger, node, target: str, headers: dict[str, str]) -> tuple[int, str]:
    async with stranger.get(url_of(node) + target, headers=headers) as answer:
        return answer.status, (await answer.read()).decode(errors="replace")


async def refused(stranger, node, target: str, headers: dict[str, str]) -> str:
    status, text = await asked(stranger, node, target, headers)
    assert status == 403
    assert SECRET not in text
    return str(msgspec.json.decode(text)["reason"])


# What siblings are answered


async def test_a_request_reaches_the_machine_that_has_the_call(machines):
    first, second = machines
    call_id = await dial(second)
    await data(first, "/call/hangup", {"callId": call_id})
    assert list(second.bridge.manager.calls()) == []


async def test_nodes_own_requests_reach_the_other_machine(machines):
    first, second = machines
    call_id = await dial(second)
    answer = await first.http.get("/call/status", headers=KEY)
    assert [call["callId"] for call in (await answer.json())["data"]["calls"]] == [call_id]


async def test_a_node_says_which_process_it_is(machines):
    first, second = machines
    siblings, member = first.bridge.cluster.siblings, second.bridge.cluster.siblings.members.own
    assert await siblings.boot_of(member) == member.boot
    assert siblings is not None
    answer = await siblings.request(1, IDENTITY_PATH)
    assert msgspec.json.decode(answer, type=NodeIdentity) == NodeIdentity(1, member.boot)


async def test_a_node_that_has_been_restarted_since_does_not_answer_as_its_former_process(machines):
    first, second = machines
    member = second.bridge.cluster.siblings.members.own
    assert await first.bridge.cluster.siblings.boot_of(replace(member, boot="0" * 16)) is None


async def test_a_node_that_has_lost_its_lease_and_lives_is_still_asked_about_its_calls(machines):
    first, second = machines
    call_id = await dial(second)
    vars(first.bridge.cluster.members)["others"] = list
    assert (await first.http.get(f"/call/{call_id}/quality", headers=KEY)).status == 200


async def test_a_request_is_passed_on_once(machines, owner, stranger):
    first, second = machines
    # The second is asked about a call of the first's: it answers itself that it has none.
    call_id = await dial(first)
    target = f"/call/{call_id}/quality"
    status, _ = await asked(stranger, second, target, signed(first, second, "GET", target))
    assert status == 404


async def test_a_calls_socket_is_offered_at_its_own_machine_first_where_clients_reach_it():
    urls = ("https://node1.calls.example", "https://node2.calls.example/")
    async with two_nodes(machines=True, public_urls=urls) as (first, second):
        dialled = await data(second, "/call/dial", {"phone": NEVER})
        call_id = dialled["callId"]
        wanted = f"wss://node2.calls.example/call/{call_id}/stream"
        assert dialled["streamUrl"] == wanted
        ticket = await data(first, f"/call/{call_id}/ticket", {})
        assert ticket["streamUrl"] == wanted


async def test_without_such_an_address_none_is_named(machines):
    assert "streamUrl" not in await data(machines[1], "/call/dial", {"phone": NEVER})


# What strangers are refused


async def test_a_request_without_a_signature_is_refused(machines, stranger):
    for target in (CALL, "/healthz", "/metrics", "/", IDENTITY_PATH, "/node/calls?line=demo"):
        assert await refused(stranger, machines[1], target, KEY) == "malformed"


@pytest.mark.parametrize("target", [CALL, IDENTITY_PATH])
async def test_a_replayed_request_is_refused(machines, stranger, target):
    first, second = machines
    headers = signed(first, second, "GET", target)
    assert (await asked(stranger, second, target, headers))[0] == 200
    assert await refused(stranger, second, target, headers) == "replayed"


@pytest.mark.parametrize("ahead", [-3600.0, -40.0, 40.0, 3600.0])
async def test_an_expired_request_is_refused(machines, stranger, ahead):
    first, second = machines
    headers = signed(first, second, "GET", CALL, ahead=ahead)
    assert await refused(stranger, second, CALL, headers) == "expired"


async def test_a_machine_with_an_old_secret_is_told_what_to_set(machines, stranger):
    first, second = machines
    headers = signed(first, second, "GET", CALL, secret="an old secret of that machine, unchanged")
    status, text = await asked(stranger, second, CALL, headers)
    assert status == 403
    assert "set the same cluster.secret on both machines" in text


@pytest.mark.parametrize(
    "header",
    ["", "v1 0 1 9999999999 " + "0" * 32 + " " + "0" * 64, "v1 0 7 9 " + "0" * 32 + " " + "0" * 64],
)
async def test_no_refusal_names_a_machine(machines, stranger, header):
    async with stranger.get(url_of(machines[1]) + CALL, headers={HEADER: header} | KEY) as answer:
        told = await answer.text() + str(answer.headers)
    assert answer.status == 403
    for node in machines:
        own = node.bridge.cluster.siblings.members.own
        assert not {part for part in (own.url[7:], own.machine, own.boot) if part in told}


async def test_a_signature_of_another_path_body_or_node_is_refused(machines, stranger):
    first, second = machines
    other = signed(first, second, "GET", "/call/status")
    assert await refused(stranger, second, CALL, other) == "signature"
    headers = signed(first, second, "POST", "/test", b"{}")
    async with stranger.post(url_of(second) + "/test", data=b"[]", headers=headers) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (403, "signature")
    leads_here = signed(second, first, "GET", CALL)
    assert await refused(stranger, second, CALL, leads_here) == "target"


async def test_refusals_are_counted(machines, stranger):
    await refused(stranger, machines[1], CALL, KEY)
    text = await machines[1].metrics()
    assert 'bridge_node_requests_refused_total{reason="malformed",node="1"} 1.0' in text


async def test_a_sibling_with_another_secret_is_no_sibling():
    async with two_nodes(machines=True, secrets=(SECRET, SECRET[::-1])) as (first, second):
        call_id = await dial(second)
        assert (await post(first, "/call/hangup", {"callId": call_id})).status == 503
        siblings = first.bridge.cluster.siblings
        assert siblings is not None
        assert await siblings.request(1, IDENTITY_PATH) is None


# The public port


async def test_no_node_route_is_on_the_public_port(machines):
    first, second = machines
    for route in ROUTES:
        headers = signed(first, second, route.method, route.path)
        answer = await second.http.request(route.method, route.path, headers=headers)
        assert answer.status == 404, route.path


async def test_a_signature_means_nothing_on_the_public_port(machines, owner, stranger):
    first, second = machines
    headers = signed(first, second, "PUT", "/test")
    answer = await second.http.put("/test", headers=headers)
    assert await answer.json() == {"passed on": False}
    # A client's own signature is not passed on either.
    body = {"callId": SECOND}
    answer = await first.http.put("/test", json=body, headers=KEY | {HEADER: headers[HEADER]})
    assert await answer.json() == {"passed on": True}
    assert owner.requests[-1].headers[HEADER] != headers[HEADER]


async def test_a_request_for_a_sibling_process_is_passed_on_by_its_socket(machines, stranger):
    # Nodes' own requests take that way in every case.
    first, second = machines
    node_socket_path(second.folder, 1).unlink()
    headers = signed(first, second, "GET", IDENTITY_PATH)
    assert (await asked(stranger, second, IDENTITY_PATH, headers))[0] == 502
