"""Strangers who sweep the media ports while a telephone sends nothing (RTP bleed)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle

import pytest

from bridge.call.model import CallDetails, LineName, Parties
from bridge.settings.model import Line, LineSip, Settings, Sip
from tests.support.inprocess import Client, running, settings
from tests.support.machine import free_port
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer
from tests.support.sip.telephone import Telephone, tone
from tests.support.sip.trunk_double import TrunkDouble, trunk
from tests.support.two_nodes import one_node_only, two_nodes
from tests.support.waiting import until

pytestmark = [pytest.mark.call, one_node_only]

TRUNK, PHONE, STRANGER = "127.0.0.11", "127.0.0.12", "127.0.0.90"
NUMBER = "15550300001"


def chosen(
    far: TrunkDouble, *, listen: int = 0, trusted: Sequence[str] = (f"{TRUNK}/32",)
) -> Settings:
    """Settings of a line with a trunk, which names a telephone at another address."""
    sip = LineSip(
        trunk=f"sip:{TRUNK}:{far.port};transport=udp",
        allow_prefixes=["+1"],
        trusted=list(trusted),
        codecs=["pcmu"],
    )
    line = Line(keys=["demo"], numbers=["15550109000"], sip=sip)
    listens = Sip(listen=[f"udp:127.0.0.1:{listen}"] if listen else [])
    return settings(lines={"main": line}, sip=listens)


@asynccontextmanager
async def stranger() -> AsyncIterator[Telephone]:
    """Somebody at an address that no signalling ever named."""
    somebody = await Telephone(ssrc=0x6666).open(host=STRANGER)
    try:
        yield somebody
    finally:
        somebody.close()


async def sweep(by: Telephone, ports: Iterable[int]) -> None:
    """Send four packets that continue each other to every port."""
    for port in ports:
        by.target = "127.0.0.1", port
        for payload in tone(1000, 4):
            by.send(payload)
        await asyncio.sleep(0)


async def unheard(far: TrunkDouble, by: Telephone) -> None:
    """Check that the telephone goes on receiving what the stranger does not."""
    before = len(far.phone.audio)
    await until(lambda: len(far.phone.audio) + len(by.audio) >= before + 50)
    assert by.audio == [], f"the stranger received {len(by.audio)} packets of the call"


def answered(far: TrunkDouble, count: int) -> bool:
    """Return whether so many re-INVITEs have been answered."""
    return len(far.answers) >= count


async def speaking(client: Client, call_id: str, stack: AsyncExitStack) -> None:
    """Let a browser speak in a call."""
    browser = await stack.enter_async_context(LightPeer())
    await browser.call(client.exchange(call_id))
    task = asyncio.create_task(browser.speak(cycle(speech(50))))
    stack.callback(task.cancel)
    await client.until_state(call_id, "active")


async def test_a_sweep_of_the_media_ports_hears_nothing_of_a_call_whose_telephone_is_silent():
    async with AsyncExitStack() as stack:
        far = await stack.enter_async_context(trunk(TRUNK, PHONE))
        using = chosen(far)
        client = await stack.enter_async_context(running(using))
        by = await stack.enter_async_context(stranger())
        call = await client.data("/call/dial", {"phone": NUMBER, "channel": "pstn"})
        await speaking(client, call["callId"], stack)
        await until(lambda: len(far.phone.audio) > 10)
        first, last = map(int, using.rtc.ports.split("-"))
        await sweep(by, range(first, last + 1))
        await unheard(far, by)


async def test_a_telephone_behind_the_nat_that_its_trunk_signals_from_is_sent_to_and_stays_so_on_hold():
    async with AsyncExitStack() as stack:
        far = await stack.enter_async_context(trunk(TRUNK, TRUNK))
        far.named = "127.9.8.7"
        client = await stack.enter_async_context(running(chosen(far, trusted=[])))
        by = await stack.enter_async_context(stranger())
        call = await client.data("/call/dial", {"phone": NUMBER, "channel": "pstn"})
        await speaking(client, call["callId"], stack)
        await far.phone.say(tone(440, 10))
        await until(lambda: len(far.phone.audio) > 10)
        for count, direction in enumerate(("sendonly", "sendrecv"), start=1):
            far.reinvite(f"a={direction}")
            await until(partial(answered, far, count))
            assert far.phone.target is not None
            await sweep(by, [far.phone.target[1]])
        await unheard(far, by)


@pytest.mark.full
async def test_a_sweep_hears_nothing_of_a_call_of_the_node_that_does_not_have_the_sip_sockets():
    async with AsyncExitStack() as stack:
        far = await stack.enter_async_context(trunk(TRUNK, PHONE))
        _, second = await stack.enter_async_context(two_nodes(chosen(far, listen=free_port())))
        by = await stack.enter_async_context(stranger())
        client = Client(second.bridge, second.http, data=second.folder.parent)
        runner = await second.bridge.manager.dial(
            LineName("main"), NUMBER, CallDetails(Parties(to_channel="pstn"))
        )
        await speaking(client, runner.facts.call_id, stack)
        await until(lambda: len(far.phone.audio) > 10)
        assert far.phone.target is not None
        await sweep(by, [far.phone.target[1]])
        await unheard(far, by)
