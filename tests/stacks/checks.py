"""What every client is checked for, in calls that another test may run in any order.

A check returns what it has measured; it raises `NotOffered` with the reason where the client
cannot do it, and any other exception where the two do not get on.
"""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from bridge.settings.model import Media
from bridge.wire.rtp.red import unwrap
from tests.stacks import checks_network
from tests.stacks.caller import Caller, NotOffered
from tests.stacks.certificates import pem
from tests.stacks.sound import said
from tests.stacks.stage import Call, Stage, calling, connected, until_heard, until_silent
from tests.support.peers.signalling import SignallingError
from tests.support.sound.speech_compare import level_db
from tests.support.waiting import until

Figures: TypeAlias = dict[str, float]
Step: TypeAlias = Callable[[Caller, Call], Awaitable[Figures | None]]
Check: TypeAlias = Callable[[Stage], Awaitable[Figures | None]]

UFRAG = re.compile(r"a=ice-ufrag:(.*)\r\n")
PACKETS_PER_SECOND = 50
ORDERS = [
    order
    for count in (2, 3)
    for order in itertools.permutations(("audio", "video", "data"), count)
    if "audio" in order
]


# In a call that goes on


async def audio(caller: Caller, call: Call) -> Figures:
    """Measure the echo."""
    await until_heard(caller)
    heard = await caller.hear(2.0)
    figures = {
        "level_db": round(heard.level - level_db(said()), 1),
        "delay_ms": round(heard.delay * 1000),
        "gap_ms": round(heard.gap * 1000),
    }
    assert (await call.near())["received"]["packets"] > PACKETS_PER_SECOND
    assert abs(figures["level_db"]) < 3
    return figures


async def mute(caller: Caller, _: Call) -> None:
    """Mute the microphone and unmute it."""
    await caller.ask("mute", muted=True)
    await until_silent(caller)
    await caller.ask("mute", muted=False)
    await until_heard(caller)


async def dtmf(caller: Caller, call: Call) -> None:
    """Press a key; the contact gets it, once."""
    before = call.contact().digits
    await caller.ask("press", digit="5")
    await until(lambda: call.contact().digits == f"{before}5")
    await until_heard(caller)


async def renegotiation(caller: Caller, call: Call) -> None:
    """Offer again with nothing changed."""
    before = (await call.near())["received"]["packets"]
    await caller.connect(call.exchange)
    await until_heard(caller)
    assert (await call.near())["received"]["packets"] > before


async def hold(caller: Caller, call: Call) -> None:
    """Hold by renegotiation, and take the call back."""
    await caller.ask("hold", held=True)
    await caller.connect(call.exchange)
    await until_silent(caller)
    await caller.ask("hold", held=False)
    await caller.connect(call.exchange)
    await until_heard(caller)


async def ice_restart(caller: Caller, call: Call) -> None:
    """Restart ICE under the same DTLS association."""
    before = await call.client.total("bridge_ice_restarts_total")
    fragments = UFRAG.findall(caller.offered)
    offer = await caller.offer(restart=True)
    if UFRAG.findall(offer) == fragments:
        raise NotOffered("its offers keep their ICE user fragment")
    await caller.ask("accept", sdp=await call.exchange(offer))
    await until_heard(caller)
    assert await call.client.total("bridge_ice_restarts_total") > before


# In calls of their own


async def reload(stage: Stage) -> None:
    """Begin anew under the same leg, as a page does that was reloaded."""
    async with calling(stage) as call:
        legs = []
        for _ in range(2):
            async with stage.caller() as caller:
                await caller.open()
                await caller.connect(call.exchange)
                await until_heard(caller)
                legs.append(call.exchange.leg_id)
        assert legs[0] == legs[1]


async def red(stage: Stage) -> None:
    """Send redundant audio (RFC 2198)."""
    with mock.patch("bridge.rtp.receiver.unwrap", wraps=unwrap) as unwrapped:
        async with calling(stage, media=Media(red=True)) as call, stage.caller() as caller:
            await caller.open()
            offer = await caller.offer()
            if "red/48000/2" not in offer:
                raise NotOffered("its offer has no RED")
            await caller.ask("accept", sdp=await call.exchange(offer))
            await until_heard(caller)
            assert unwrapped.call_count > PACKETS_PER_SECOND / 4


async def dtx(stage: Stage) -> Figures:
    """Send nothing in pauses, which is neither loss nor the end of the call."""
    async with calling(stage) as call, stage.caller(pauses=True) as caller:
        await caller.open(dtx=True)
        await caller.connect(call.exchange)
        await until_heard(caller)
        before = (await call.near())["received"]
        await asyncio.sleep(4.0)
        after = (await call.near())["received"]
        rate = (after["packets"] - before["packets"]) / 4.0
        if rate > 0.9 * PACKETS_PER_SECOND:
            raise NotOffered("its encoder also sends packets in pauses")
        assert after["lost"] == before["lost"]
        await until_heard(caller)
        return {"packets_per_second": round(rate)}


async def _certificate(stage: Stage, kind: str) -> None:
    seen = []
    shown = SSL.Connection.get_peer_certificate

    def noted(connection: Any, **options: Any) -> Any:
        certificate: Any = shown(connection, **options)
        seen.append(certificate)
        return certificate

    with mock.patch.object(SSL.Connection, "get_peer_certificate", noted):
        async with connected(stage, certificate=kind, pem=pem(kind)):
            pass
    assert seen
    for certificate in seen:
        is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
        assert ("rsa" if is_rsa else "ecdsa") == kind


async def with_rsa(stage: Stage) -> None:
    """Connect with an RSA certificate."""
    await _certificate(stage, "rsa")


async def with_ecdsa(stage: Stage) -> None:
    """Connect with an ECDSA certificate."""
    await _certificate(stage, "ecdsa")


async def lines_bundled(stage: Stage) -> Figures:
    """Offer video and data beside the sound, in every order, bundled."""
    for order in ORDERS:
        async with calling(stage) as call, stage.caller() as caller:
            await caller.open(lines=order, bundle="bundled")
            answer = await call.exchange(await caller.offer())
            await caller.ask("accept", sdp=answer, wait=False)
            await until_heard(caller)
    return {"orders": len(ORDERS)}


async def video_refused(stage: Stage) -> Figures:
    """Go on sending video although it is refused, which takes nothing from the sound."""
    async with calling(stage) as call, stage.caller() as caller:
        # The refused line is first, and kept for the sake of its transport: most stacks send on it.
        await caller.open(lines=("video", "audio"), bundle="bundled", camera=True)
        answer = await call.exchange(await caller.offer())
        await caller.ask("accept", sdp=answer, wait=False)
        await until_heard(caller)
        before = await call.near()
        heard = await caller.hear(3.0)
        after = await call.near()
    if not (video := after["discarded"].get("refused_line", 0)):
        raise NotOffered("it sends no video that was refused")
    received, echoed = (
        after[name]["packets"] - before[name]["packets"] for name in ("received", "sent")
    )
    assert echoed > 0.95 * received
    assert after["received"]["lost"] == before["received"]["lost"]
    assert abs(heard.level - level_db(said())) < 3
    return {"video_packets": video}


async def lines_separate(stage: Stage) -> Figures:
    """Offer video and data beside the sound, in every order, each with a transport of its own."""
    for order in ORDERS:
        async with calling(stage) as call, stage.caller() as caller:
            await caller.open(lines=order, bundle="separate")
            offer = await caller.offer()
            if _transports(offer) < len(order):
                raise NotOffered("it has one transport for all lines")
            answer = await call.exchange(_unbundled(offer))
            await caller.ask("accept", sdp=answer, wait=False)
            await until_heard(caller)
    return {"orders": len(ORDERS)}


def _transports(offer: str) -> int:
    """Count the ports that its lines name first."""
    sections = offer.split("\r\nm=")[1:]
    found = [checks_network.CANDIDATE.search(f"{section}\r\n") for section in sections]
    return len({one[3] for one in found if one})


def _unbundled(offer: str) -> str:
    """Let the offer name no group, as of a peer that cannot bundle."""
    lines = offer.splitlines()
    kept = [line for line in lines if not line.startswith(("a=group:", "a=bundle-only"))]
    return "\r\n".join(kept) + "\r\n"


async def plan_b(stage: Stage) -> None:
    """Be refused with what to do, where two tracks are offered in one line."""
    async with calling(stage) as call, stage.caller() as caller:
        await caller.open(semantics="plan-b", tracks=2)
        with pytest.raises(SignallingError, match="Unified Plan") as refused:
            await call.exchange(await caller.offer())
        assert refused.value.status == 400


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    title: str
    step: Step | None = None
    """Runs in a call that goes on."""
    check: Check | None = None
    """Makes its own calls."""


ROWS = {
    "audio": Row("Sound both ways", step=audio),
    "mute": Row("Mute", step=mute),
    "dtmf": Row("DTMF (RFC 4733)", step=dtmf),
    "renegotiation": Row("Renegotiation", step=renegotiation),
    "ice_restart": Row("ICE restart", step=ice_restart),
    "hold": Row("Hold and back", step=hold),
    "reload": Row("Reload: a new connection for the same leg", check=reload),
    "network_change": Row("Change of network", check=checks_network.network_change),
    "red": Row("RED (RFC 2198)", check=red),
    "dtx": Row("DTX", check=dtx),
    "turn_udp": Row("TURN over UDP", check=checks_network.turn_udp),
    "turn_tcp": Row("TURN over TCP", check=checks_network.turn_tcp),
    "ecdsa": Row("ECDSA certificate", check=with_ecdsa),
    "rsa": Row("RSA certificate", check=with_rsa),
    "mdns": Row("mDNS candidates", check=checks_network.mdns),
    "lines_bundled": Row("Video and data lines in every order, bundled", check=lines_bundled),
    "lines_separate": Row("The same, not bundled", check=lines_separate),
    "video_refused": Row("Video that goes on although it is refused", check=video_refused),
    "trickle": Row("Offer before candidates (trickle)", check=checks_network.trickle),
    "complete": Row("Complete offer with `a=end-of-candidates`", check=checks_network.complete),
    "plan_b": Row("Plan B with two tracks is refused, and told why", check=plan_b),
}
"""By name, in the order of the page."""

STEPS = tuple(name for name, row in ROWS.items() if row.step)
ALONE = tuple(name for name, row in ROWS.items() if row.check)
