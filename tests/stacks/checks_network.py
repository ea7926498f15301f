"""Checks of how a client's packets reach the bridge: candidates, TURN, another network."""

import asyncio
import re
import time
from contextlib import ExitStack

from bridge.settings.model import Rtc
from bridge.settings.rtc import Turn
from tests.browser.stage.network import Namespace, available, namespace
from tests.stacks.caller import Caller, CallerError, NotOffered
from tests.stacks.stage import Call, Stage, calling, until_heard
from tests.support.inprocess import free_udp_ports
from tests.support.machine import own_address
from tests.support.servers.coturn import running_coturn

CANDIDATE = re.compile(r"a=candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+) typ (\w+).*\r\n")
"""Transport, address, port and type."""
RESTART_SECONDS = 10.0


class Unable(Exception):
    """This machine lacks what the check needs; the text says what."""


async def turn_udp(stage: Stage) -> None:
    """Reach the bridge through coturn alone, over UDP."""
    await _relayed(stage, "udp")


async def turn_tcp(stage: Stage) -> None:
    """Reach the bridge through coturn alone, over TCP."""
    await _relayed(stage, "tcp")


async def _relayed(stage: Stage, transport: str) -> None:
    address = own_address()
    if address.startswith("127."):
        raise Unable("the machine has no address but loopback, which coturn refuses to relay to")
    secret = "a shared secret"
    with running_coturn(stage.folder, address, peer=address, secret=secret) as coturn:
        [url] = [url for url in coturn.urls() if url.endswith(transport)]
        first = free_udp_ports()
        rtc = Rtc(bind=[address], ports=f"{first}-{first + 39}", stun_urls=[])
        turn = Turn(mode="shared_secret", urls=[url], secret=secret)
        async with (
            calling(stage, rtc=rtc, turn=turn) as call,
            stage.caller(address=address) as caller,
        ):
            response = await call.client.get("/call/webrtc/config")
            [server] = (await response.json())["iceServers"]
            relay = {
                "urls": url,
                "username": server["username"],
                "credential": server["credential"],
            }
            await caller.open(relay=relay)
            offer = await caller.offer()
            kinds = {kind for _, _, _, kind in CANDIDATE.findall(offer)}
            assert "relay" in kinds
            if kinds != {"relay"}:
                raise NotOffered("its offers name its own addresses too, whatever its policy says")
            await caller.ask("accept", sdp=await call.exchange(offer))
            await until_heard(caller)


async def mdns(stage: Stage) -> None:
    """Offer names in place of addresses; the bridge learns the address from the first check."""
    async with calling(stage) as call, stage.caller() as caller:
        await caller.open(mdns=True)
        offer = await caller.offer()
        if not any(host.endswith(".local") for _, host, _, _ in CANDIDATE.findall(offer)):
            raise NotOffered("its offers name addresses")

        def named(found: re.Match[str]) -> str:
            return found[0] if found[2].endswith(".local") else ""

        answer = await call.exchange(CANDIDATE.sub(named, offer))
        await caller.ask("accept", sdp=answer)
        await until_heard(caller)


async def trickle(stage: Stage) -> None:
    """Offer before a candidate is known; none is ever sent after."""
    async with calling(stage) as call, stage.caller() as caller:
        await caller.open()
        offer = await caller.offer(trickle=True)
        assert "a=candidate" not in offer
        await caller.ask("accept", sdp=await call.exchange(offer))
        await until_heard(caller)


async def complete(stage: Stage) -> None:
    """Offer all candidates and say that they are all."""
    async with calling(stage) as call, stage.caller() as caller:
        await caller.open()
        offer = (await caller.offer()).replace("a=ice-options:trickle\r\n", "")
        assert CANDIDATE.search(offer)
        if "a=end-of-candidates" not in offer:
            last = [*CANDIDATE.finditer(offer)][-1].end()
            offer = f"{offer[:last]}a=end-of-candidates\r\n{offer[last:]}"
        await caller.ask("accept", sdp=await call.exchange(offer))
        await until_heard(caller)


async def network_change(stage: Stage) -> dict[str, float]:
    """Get another address in mid-call and restart ICE, else connect anew for the same leg."""
    if not available():
        raise Unable("network namespaces cannot be made (as root, with iproute2)")
    with ExitStack() as stack:
        network = stack.enter_context(namespace())
        first = free_udp_ports()
        rtc = Rtc(bind=[network.gateway], ports=f"{first}-{first + 39}")
        async with calling(stage, rtc=rtc) as call:
            async with stage.caller(address=_inner(network), prefix=network.prefix) as caller:
                await caller.open()
                await caller.connect(call.exchange)
                await until_heard(caller)
                network.move()
                began = time.monotonic()
                if await _restarted(caller, call, network):
                    return {"seconds": round(time.monotonic() - began, 1)}
            async with stage.caller(address=_inner(network), prefix=network.prefix) as caller:
                await caller.open()
                await caller.connect(call.exchange)
                await until_heard(caller)
                return {"anew": 1}


async def _restarted(caller: Caller, call: Call, network: Namespace) -> bool:
    try:
        async with asyncio.timeout(RESTART_SECONDS):
            await caller.connect(call.exchange, restart=True, address=_inner(network))
            await until_heard(caller)
    except (NotOffered, CallerError, TimeoutError):
        return False
    return True


def _inner(network: Namespace) -> str:
    return f"{network.subnet}.{network.host}"
