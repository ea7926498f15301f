"""A bridge for tests of the HTTP API."""

from pathlib import Path

import pytest

from tests.support.inprocess import running
from tests.support.two_nodes import nodes as nodes

HERE = Path(__file__).parent
ABOUT_NODES = {
    "faces/test_isolation",
    "faces/wadial/test_events",
    "faces/wavix/test_hooks",
    "test_admin",
    "test_auth",
    "test_call_history",
    "test_calls",
    "test_console",
    "test_ended_calls",
    "test_events",
    "test_gateway",
    "test_health",
    "test_lines",
    "test_recording",
    "test_simulator",
    "test_tickets",
    "test_middleware_use",
    "test_webhooks",
}
"""Where nodes share state. In all other files requests are only forwarded: their second run, with
a node between, is left to `make test-long`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if not item.path.is_relative_to(HERE) or not hasattr(item, "callspec"):
            continue
        file = str(item.path.relative_to(HERE).with_suffix(""))
        if (
            item.callspec.params.get("nodes") in ("wrong_machine", "wrong_node")
            and file not in ABOUT_NODES
        ):
            item.add_marker(pytest.mark.long)


@pytest.fixture
async def client():
    async with running() as client:
        yield client
