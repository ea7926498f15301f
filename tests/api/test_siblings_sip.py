"""What the nodes of a machine pass each other of SIP, over HTTP."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.server.services import NODE
from bridge.api.siblings import ROUTES
from bridge.trunk.shared import CONNECT_PATH, MESSAGES_PATH, SharedSockets


@pytest.mark.parametrize("path", [MESSAGES_PATH, CONNECT_PATH])
@pytest.mark.parametrize(("sip", "status"), [(False, 404), (True, 400)])
async def test_a_node_without_sip_has_none_and_damage_is_refused(path, sip, status):
    sockets = SharedSockets.__new__(SharedSockets) if sip else None
    node: Any = SimpleNamespace(sip_sockets=sockets)
    application = web.Application()
    application[NODE] = node
    application.add_routes(ROUTES)
    async with TestClient(TestServer(application)) as client:
        assert (await client.post(path, data=b"no JSON")).status == status
