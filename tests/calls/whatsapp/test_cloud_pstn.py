"""An official WhatsApp call is never joined to the telephone network, whoever asks for it how."""

import pytest

from bridge.settings.model import LineSip, Sip
from tests.calls.whatsapp.test_cloud import world
from tests.support.clients.vendor import Vendor
from tests.support.inprocess import running, settings
from tests.support.machine import free_port
from tests.support.whatsapp.graph_double import BUSINESS, USER

PHONE = "+15550107777"
OURS = f"+{BUSINESS}"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/call/dial", {"channel": "pstn", "phone": PHONE}),
        ("/v1/calls", {"from": OURS, "to": PHONE, "fromChannel": "whatsapp", "toChannel": "pstn"}),
        ("/v1/calls", {"from": OURS, "to": PHONE, "fromChannel": "pstn", "toChannel": "whatsapp"}),
        ("/v1/calls", {"from": OURS, "to": PHONE, "fromChannel": "whatsapp"}),
    ],
    ids=["native and zuckzapgo", "chirp", "chirp the other way round", "chirp by default"],
)
async def test_a_line_of_metas_dials_no_telephone(path, body):
    async with world() as meta:
        status, answer = await Vendor(meta.client.http, "demo").post(path, body)
        assert status == 403
        assert "Meta forbids" in answer["error"]
        assert meta.graph.actions() == []
        assert await meta.client.calls() == []


@pytest.mark.parametrize("command", ["transfer", "add_participant"])
@pytest.mark.parametrize("more", [{"toChannel": "pstn"}, {}], ids=["pstn", "no channel"])
async def test_no_telephone_joins_a_call_with_a_user(command, more):
    async with world() as meta:
        await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await meta.client.data("/call/answer", {"callId": call_id})
        vendor = Vendor(meta.client.http, "demo")
        body = {"type": command, "to": PHONE, **more}
        status, answer = await vendor.post(f"/v1/calls/{call_id}/commands", body)
        assert status == 403
        assert "Meta forbids" in answer["error"]
        assert len(await meta.client.calls()) == 1
        assert "connect" not in meta.graph.actions()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/call/make", {"Phone": USER}),
        ("/api/v1/sessions/main/calls", {"to": USER}),
        ("/v1/call", {"from": OURS, "to": f"+{USER}"}),
    ],
    ids=["wago", "wadial", "wavix"],
)
async def test_where_no_channel_can_be_named_only_whatsapp_is_rung(path, body):
    async with world() as meta:
        vendor = Vendor(meta.client.http, "demo")
        status, answer = await vendor.post(path, body | {"channel": "pstn"})
        assert status in {200, 201}, answer
        [(_, asked)] = meta.graph.requests
        assert (asked["action"], asked["to"]) == ("connect", USER)


async def test_other_lines_are_told_what_is_missing():
    async with running(settings()) as client:
        answer = await client.post("/call/dial", {"channel": "pstn", "phone": PHONE})
        assert answer.status == 501
        assert "SIP trunk" in (await answer.json())["error"]


def trunk() -> LineSip:
    """A trunk that may call everybody, and where nobody answers."""
    return LineSip(trunk=f"sip:127.0.0.1:{free_port()}", allow_prefixes=["+"])


async def joined(meta, body):
    """Ask for one more party in a call with a user; return the answer."""
    await meta.graph.ring()
    call_id = (await meta.call())["callId"]
    await meta.client.data("/call/answer", {"callId": call_id})
    vendor = Vendor(meta.client.http, "demo")
    return await vendor.post(f"/v1/calls/{call_id}/commands", {"to": PHONE, **body})


@pytest.mark.parametrize("command", ["transfer", "add_participant"])
async def test_a_trunk_of_the_line_is_kept_apart_from_its_users(command):
    async with world(sip=trunk()) as meta:
        status, answer = await joined(meta, {"type": command, "toChannel": "pstn"})
        assert status == 403
        assert "Meta forbids" in answer["error"]
        assert "sip.private_trunks" in answer["error"]


async def test_a_line_with_a_trunk_dials_telephones_beside_its_users():
    async with world(sip=trunk()) as meta:
        answer = await meta.client.post("/call/dial", {"channel": "pstn", "phone": PHONE})
        assert answer.status == 502
        assert "the trunk is unreachable" in (await answer.json())["error"]
        assert meta.graph.actions() == []


async def test_a_trunk_that_leads_to_no_telephone_network_may_be_joined_to_a_user():
    async with world(sip=trunk(), shared=Sip(private_trunks=["main"])) as meta:
        status, answer = await joined(meta, {"type": "add_participant", "toChannel": "pstn"})
        assert status == 502
        assert "the trunk is unreachable" in answer["error"]
