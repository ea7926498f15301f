"""Streams over the native routes: what a body may ask for, and what is answered."""

import pytest

from bridge.api.media.streams import MAX_PARAMETER_BYTES, MAX_PARAMETERS, NewStream, media_format
from bridge.errors import InvalidRequest
from bridge.settings.model import Net
from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_stream import WAVIX, StreamProtocol
from bridge.wire.stream.twilio import TWILIO
from tests.support.inprocess import running, settings
from tests.support.servers.stream_customer import customer_server
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until

SILENT = "15550100008"
URL = "ws://127.0.0.1:9/"

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


async def answered(client):
    call_id = await client.dial(SILENT)
    await client.until_state(call_id, "active")
    return call_id


async def refused(client, **body):
    """Ask for a stream of an answered call; returns the status and the error."""
    call_id = await answered(client)
    response = await client.post(f"/call/{call_id}/streams", {"streamUrl": URL, **body})
    return response.status, await response.json()


async def test_a_stream_begins_and_is_stopped(client):
    call_id = await answered(client)
    async with customer_server() as server:
        path = f"/call/{call_id}/streams"
        body = {"streamUrl": server.url, "streamParameters": {"agent": "anna"}}
        stream_id = (await client.data(path, body))["streamId"]
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        [start] = customer.of("start")
        assert (start["stream_id"], start["call_id"]) == (stream_id, call_id)
        assert (start["stream_type"], start["parameters"]) == ("twoway", {"agent": "anna"})
        async with client.http.delete(f"{path}/{stream_id}", headers={"token": "demo"}) as response:
            assert (await response.json())["data"] == {"ok": True}
        await until(customer.closed.is_set)
    assert await client.state(call_id) == "active"


async def test_a_stream_that_is_not_there_is_a_404(client):
    call_id = await answered(client)
    path = f"/call/{call_id}/streams/00000000-0000-4000-8000-000000000000"
    async with client.http.delete(path, headers={"token": "demo"}) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("streamEncoding", "s16le"),
        ("streamSampleRate", 16_000),
        ("streamFrameMs", 40),
        ("streamUrl", "https://example.com/"),
        ("streamProtocol", "sip"),
        ("streamParameters", {"number": 5}),
        ("streamParameters", ["agent"]),
        ("streamParameters", {"name": "x" * MAX_PARAMETER_BYTES}),
        ("streamParameters", {str(number): "" for number in range(MAX_PARAMETERS + 1)}),
    ],
)
async def test_what_a_twilio_stream_cannot_have_is_refused_by_name(client, field, value):
    status, answer = await refused(client, **{"streamProtocol": "twilio", field: value})
    assert status == 400
    assert answer["error"].startswith(f"{field}: "), answer


async def test_the_formats_that_a_twilio_stream_has_anyway_may_be_asked_for(client):
    call_id = await answered(client)
    async with customer_server() as server:
        body = {
            "streamUrl": server.url,
            "streamProtocol": "twilio",
            "streamEncoding": "mulaw",
            "streamSampleRate": 8_000,
            "streamFrameMs": 20,
        }
        await client.data(f"/call/{call_id}/streams", body)
        customer = await server.customer()
        await until(lambda: customer.of("start"))


async def test_parameters_count_in_bytes(client):
    status, _ = await refused(client, streamParameters={"n": "\u00e9" * (MAX_PARAMETER_BYTES // 2)})
    assert status == 400


async def test_a_stream_needs_a_url(client):
    status, answer = await refused(client, streamUrl="")
    assert (status, answer["field"]) == (400, "streamUrl")


async def test_a_line_without_a_realtime_server_is_told_how_to_get_one(client):
    status, answer = await refused(client, streamProtocol="openai-realtime", streamUrl="")
    assert (status, answer["field"]) == (400, "streamUrl")
    assert "[lines.NAME.realtime]" in answer["error"]


async def test_a_stream_to_a_realtime_server_is_not_one_way(client):
    status, answer = await refused(client, streamProtocol="openai-realtime", streamType="oneway")
    assert (status, answer["field"]) == (400, "streamType")


async def test_a_call_that_rings_cannot_be_streamed(client):
    call_id = await client.dial("15550100003")
    response = await client.post(f"/call/{call_id}/streams", {"streamUrl": URL})
    assert response.status == 409


def test_what_is_not_asked_for_is_the_protocols_own():
    assert media_format(NewStream()) == WAVIX
    assert media_format(NewStream(stream_protocol=StreamProtocol.TWILIO)) == TWILIO


def test_a_native_stream_has_any_format():
    asked = NewStream(stream_encoding=Encoding.MULAW, stream_sample_rate=8_000, stream_frame_ms=60)
    assert media_format(asked) == MediaFormat(Encoding.MULAW, 8_000, 60)


def test_a_refusal_says_what_the_protocol_has():
    asked = NewStream(stream_protocol=StreamProtocol.TWILIO, stream_encoding=Encoding.F32LE)
    with pytest.raises(InvalidRequest, match="mulaw at 8000 Hz in messages of 20 ms"):
        media_format(asked)
