"""A bridge whose demonstration line has a speech-to-text provider of the test's."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.settings.model import Data, Net, Transcription
from tests.support.inprocess import KEY, Client, running, settings
from tests.support.servers.provider_double import providing
from tests.support.waiting import until_answer

TALKS = "15550100002"
MODULES = ("transcription", "transcripts", "events")


@pytest.fixture
def wall_clock(monkeypatch):
    """Let attempts be due by the test's clock, which later bridges of a test continue."""
    for module in MODULES:
        monkeypatch.setattr(
            f"bridge.node.transcripts.{module}.wall_time",
            lambda: 1.7e9 + asyncio.get_running_loop().time(),
        )


@asynccontextmanager
async def transcribing(*, folder="", lines=None, **transcription):
    """Run a bridge and its provider; give both."""
    chosen = msgspec.structs.replace(
        settings(),
        net=Net(allow=["127.0.0.0/8"]),
        transcription=Transcription(**transcription),
        lines=lines or {},
        **({"data": Data(dir=str(folder))} if folder else {}),
    )
    async with providing() as double, running(chosen) as client:
        await set_provider(client, double.root)
        yield client, double


async def set_provider(client: Client, root: str) -> None:
    """Let the line use the provider at a URL."""
    body = {
        "callInboundMode": "manual",
        "callSttUrl": f"{root}/stt",
        "callProviderToken": "s3cret",
    }
    response = await client.http.put("/call/config", json=body, headers=KEY)
    assert response.status == 200, await response.text()
    await client.data("/session/connect", {})


async def transcript(client: Client, call_id: str):
    """Return a call's transcript; None if it has none."""
    response = await client.get(f"/call/{call_id}/transcript")
    return (await response.json())["data"] if response.status == 200 else None


async def finished(client: Client, call_id: str, *, timeout: float = 60.0):
    """Wait until a call's transcript is finished; return it."""

    async def over():
        found = await transcript(client, call_id)
        return found if found and found["status"] in ("completed", "failed") else None

    return await until_answer(over, timeout=timeout)


async def talk(client: Client, seconds: float = 4.0, **more):
    """Call the contact that talks for some seconds; return the call's id."""
    call_id = (await client.data("/call/dial", {"phone": TALKS, **more}))["callId"]
    await asyncio.sleep(seconds)
    return str(call_id)


async def hang_up(client: Client, call_id: str) -> None:
    await client.data("/call/hangup", {"callId": call_id})


async def events(client: Client, call_id: str, *types: str):
    """Return the data of a call's events of these types, of all nodes."""
    found = []
    after = 0
    log = client.bridge.events.log
    while page := await log.read(after, None, call_id):
        after = page[-1][0]
        found += [event for _, event in page if event.type in types]
    return found
