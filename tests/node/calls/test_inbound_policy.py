"""Calls of a line that is off, and inbound calls that a line answers or rejects; see also tests/api/lines/test_lines.py."""

import pytest

from bridge.call.model import LineName
from bridge.errors import LineDisabled
from tests.support.clients.vendor import ECHO, SALES, Vendor, two_lines
from tests.support.inprocess import running

LINE = LineName("sales")
BROWSERS = {"from": "ann", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"}
WHATSAPP = {"from": "ann", "to": f"+{ECHO}", "fromChannel": "webrtc", "toChannel": "whatsapp"}
BEGINNINGS = [
    ("/call/dial", {"phone": ECHO}),
    ("/call/dial", {"channel": "webrtc"}),
    ("/call/make", {"Phone": ECHO}),
    ("/api/v1/sessions/sales/calls", {"to": ECHO}),
    ("/v1/calls", BROWSERS),
    ("/v1/calls", WHATSAPP),
    ("/v1/call", {"from": "15550109000", "to": ECHO}),
]


@pytest.mark.parametrize(("path", "body"), BEGINNINGS)
async def test_a_line_that_is_off_begins_no_call_in_any_face(path, body):
    async with running(two_lines()) as client:
        vendor = Vendor(client.http, SALES)
        assert (await vendor.post("/session/disconnect", {}))[0] == 200
        assert (await vendor.post(path, body))[0] == 409
        assert list(client.bridge.manager.calls()) == []


async def test_the_call_service_asks_before_it_begins_a_call():
    async with running(two_lines()) as client:
        manager = client.bridge.manager
        assert (await Vendor(client.http, SALES).post("/session/disconnect", {}))[0] == 200
        with pytest.raises(LineDisabled):
            await manager.open(LINE)
        with pytest.raises(LineDisabled):
            await manager.dial(LINE, ECHO)
