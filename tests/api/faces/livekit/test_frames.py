"""What hostile SDKs send: refused or dropped, counted, and nothing else happens."""

import asyncio
import base64
import gzip
import random
from functools import partial
from types import SimpleNamespace

import pytest
from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType

from bridge.api.faces.livekit.frames import FRAMES_PER_MINUTE, Frames
from bridge.errors import RemoteProtocolError
from bridge.wire.livekit.models import MuteTrack, SessionDescription, Trickle
from bridge.wire.livekit.protobuf import MAX_BYTES, encode
from bridge.wire.livekit.request import (
    Compression,
    JoinRequest,
    SignalRequest,
    WrappedJoinRequest,
)
from tests.support.clients.livekit_sdk import SdkDouble, packed
from tests.support.waiting import until_answer

ECHO = "15550100001"
PING = encode(SignalRequest(ping=7))
CANDIDATE = encode(SignalRequest(trickle=Trickle(candidate="{}")))


class Socket:
    """A WebSocket that receives these frames, then nothing."""

    def __init__(self, *frames: object) -> None:
        self._frames = [
            one if isinstance(one, WSMessage) else WSMessage(WSMsgType.BINARY, one, None)
            for one in frames
        ]

    async def receive(self, timeout: float) -> WSMessage:
        if self._frames:
            return self._frames.pop(0)
        await asyncio.sleep(timeout)
        raise TimeoutError


def reading(*frames: object) -> SimpleNamespace:
    """Return what reads these frames, and what it has refused."""
    refused: list[str] = []
    frames_ = Frames(Socket(*frames), "leg_1", refused.append)  # type: ignore[arg-type]
    return SimpleNamespace(next=frames_.next, refused=refused)


@pytest.mark.virtual_time
async def test_a_silent_client_has_gone():
    found = reading(PING)
    assert (await found.next()).ping == 7
    assert await found.next() is None
    assert found.refused == ["silent"]


@pytest.mark.virtual_time
async def test_a_frame_that_is_too_large_ends_it_and_a_close_is_no_refusal():
    too_large = WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "too large")
    large = reading(WSMessage(WSMsgType.ERROR, too_large, None))
    assert await large.next() is None
    broken = reading(WSMessage(WSMsgType.ERROR, ValueError(), None))
    assert await broken.next() is None
    closed = reading(WSMessage(WSMsgType.CLOSED, None, None))
    assert await closed.next() is None
    assert large.refused + broken.refused + closed.refused == ["frame_too_large", "frame"]


@pytest.mark.virtual_time
async def test_ten_thousand_candidates_are_dropped_beyond_the_rate():
    found = reading(*[CANDIDATE] * 10_000, PING)
    for _ in range(FRAMES_PER_MINUTE):
        assert (await found.next()).trickle is not None
    assert await found.next() is None  # the ping too
    assert found.refused.count("too_many_frames") == 10_001 - FRAMES_PER_MINUTE


@pytest.mark.virtual_time
async def test_truncated_and_random_frames_are_read_or_malformed():
    whole = encode(SignalRequest(offer=SessionDescription(type="offer", sdp="v=0", id=1)))
    made = random.Random(1)
    for frame in [whole[:n] for n in range(len(whole))] + [made.randbytes(40) for _ in range(500)]:
        found = reading(frame)
        try:
            assert await found.next() is not None
            assert found.refused == []
        except RemoteProtocolError:
            assert found.refused == ["frame"]


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    "unpacked",
    [b"\x0a" * (MAX_BYTES + 1), b"", bytes(100), b"\x0a\xff\xff\xff\x0f"],
    ids=["bomb", "nothing", "zeros", "truncated"],
)
async def test_a_request_to_join_is_unpacked_to_a_mebibyte_at_most(client, unpacked):
    call_id = await client.dial(ECHO)
    token = (await client.data(f"/call/{call_id}/livekit", {}))["token"]
    wrapped = WrappedJoinRequest(compression=Compression.GZIP, join_request=gzip.compress(unpacked))
    text = base64.urlsafe_b64encode(encode(wrapped)).decode().rstrip("=")
    query = {"access_token": token, "join_request": text}
    response = await client.http.get("/rtc/v1", params=query)
    assert response.status == 400
    malformed = 1 if unpacked else 0  # without an upgrade even a good one is a 400
    assert await client.total('bridge_livekit_refused_total{reason="join"') == malformed


async def counted(client, reason: str) -> bool:
    total: float = await client.total(f'bridge_livekit_refused_total{{reason="{reason}"')
    return total == 1


@pytest.mark.usefixtures("nodes")
async def test_nonsense_in_a_session_is_counted_and_the_call_goes_on(client):
    call_id = await client.dial(ECHO)
    token = (await client.data(f"/call/{call_id}/livekit", {}))["token"]
    for frame, reason in ((bytes(65 * 1024), "frame_too_large"), (b"\xff" * 20, "frame")):
        async with SdkDouble(client.http, token) as sdk:
            await sdk.open(JoinRequest())
            await sdk.get("join")
            for sid in ("", "TR_", "PA_nobody", "TR_" + "x" * 5000):
                await sdk.send(SignalRequest(mute=MuteTrack(sid=sid, muted=True)))
            assert sdk.socket is not None
            await sdk.socket.send_bytes(frame)
            await sdk.closed.wait()
        await until_answer(partial(counted, client, reason))
    assert await client.state(call_id) == "active"


@pytest.mark.usefixtures("nodes")
async def test_a_flood_of_wrong_tokens_is_answered_429_and_starts_nothing(client):
    query = {"join_request": packed(JoinRequest())}
    answers = [
        (await client.http.get("/rtc/v1", params=query | {"access_token": f"a.b.{n}"})).status
        for n in range(30)
    ]
    assert answers == [401] * 20 + [429] * 10
    assert await client.calls() == []


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("path", ["/twirp/livekit.RoomService/ListRooms", "/livekit/twirp/x/y"])
async def test_livekits_server_apis_are_refused_as_its_sdks_read_it(client, path):
    answer = await client.http.post(path, json={})
    assert answer.status == 404
    found = await answer.json()
    assert found["code"] == "not_found"
    assert "no LiveKit server" in found["msg"]


@pytest.mark.usefixtures("nodes")
async def test_livekits_agents_are_told_that_this_is_no_livekit_server(client):
    answer = await client.http.get("/agent")
    assert answer.status == 404
    assert "no LiveKit server" in await answer.text()
