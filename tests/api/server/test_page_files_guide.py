"""The Python in the guide for language models, run as it stands there."""

import asyncio
import re
from typing import Any

import pytest

from bridge.api.server.page_files import find_pages
from bridge.settings.model import Net
from tests.support.inprocess import running, settings
from tests.support.servers.receiver import receiving
from tests.support.waiting import until

TALKS = "15550100002"
GUIDE = (find_pages().web / "llms.txt").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def defined(name: str) -> Any:
    """Run the block that defines a function, and give the function."""
    [block] = [block for block in BLOCKS if f"def {name}(" in block]
    names: dict[str, Any] = {}
    exec(compile(block, f"llms.txt: {name}", "exec"), names)
    return names[name]


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


def test_every_block_of_python_is_run_here():
    assert len(BLOCKS) == 2


async def test_the_socket_client_talks_with_a_contact_until_the_call_ends(client):
    echo = defined("echo")
    call_id = await client.dial(TALKS)
    base = str(client.http.make_url("")).replace("http", "ws").rstrip("/")
    talking = asyncio.ensure_future(echo(base, call_id, "demo"))
    [runner] = client.bridge.manager.calls()
    [contact] = runner.legs()
    await until(lambda: contact.statistics().sent.packets > 0 and len(runner.legs()) == 2)
    await until(lambda: contact.statistics().sent.level_dbov > -60)
    await client.data("/call/hangup", {"callId": call_id})
    async with asyncio.timeout(10):
        await talking


async def test_the_check_of_a_webhooks_signature_knows_ours_from_others(client):
    genuine = defined("genuine")
    async with receiving() as hook:
        registered = await client.data("/webhook", {"url": hook.url})
        await client.dial(TALKS)
        await until(lambda: hook.taken)
    taken, secret = hook.taken[0], registered["secret"]
    header = taken.headers["bridge-signature"]
    assert genuine(secret, header, taken.body)
    assert not genuine(secret, header, taken.body + b" ")
    assert not genuine("whsec_other", header, taken.body)
    late = re.sub(r"t=\d+", "t=1", header)
    assert not genuine(secret, late, taken.body)
