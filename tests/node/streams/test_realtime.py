"""Where a stream to a model goes, with whose key, and what the model is told."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from bridge.errors import AddressBlocked, InvalidRequest
from bridge.node.lines import LineConfig
from bridge.node.streams.streams import StreamOrder
from bridge.settings.model import Line, Realtime, RealtimeTool
from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamProtocol, StreamType
from bridge.wire.stream.realtime_session import REALTIME
from tests.support.clients.caller import call_in
from tests.support.clients.stream_line import LINE, LOCAL
from tests.support.inprocess import running, settings

pytestmark = pytest.mark.virtual_time

OPERATORS, CUSTOMERS = "ws://127.0.0.1:9/v1/realtime", "ws://127.0.0.2:9/v1/realtime"
PROTOCOL = StreamProtocol.OPENAI_REALTIME
FACTS = StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND, media=REALTIME, protocol=PROTOCOL)


class Bridge:
    """A bridge with a call, and what its streams to models would be."""

    def __init__(self, client, runner) -> None:
        self.client = client
        self.runner = runner
        self.streams = client.bridge.media.streams

    def stream(self, url=""):
        return self.streams.realtime.server(self.runner, FACTS, url)

    def key(self, url="") -> str:
        headers = self.stream(url).target.headers(datetime.now(UTC))
        return str(headers.get("Authorization", "")).removeprefix("Bearer ")

    async def check(self, url="") -> None:
        order = StreamOrder(url, StreamType.TWOWAY, Channel.INBOUND, REALTIME, PROTOCOL)
        await self.streams.check(LINE, order)


@asynccontextmanager
async def bridge(realtime=None, net=LOCAL, **config):
    chosen = settings(lines={LINE: Line(keys=["demo"], realtime=realtime)}, net=net)
    async with running(chosen) as client:
        lines = client.bridge.lines.lines
        await lines.put(LINE, LineConfig(**config))
        await lines.connect(LINE)
        _, runner = await call_in(client.bridge.manager)
        yield Bridge(client, runner)


def model(**changed):
    return Realtime(**({"url": OPERATORS, "key": "operators", "model": "m"} | changed))


def own(**changed):
    """Settings of the customer, with a server of their own."""
    token = {"stream_url": CUSTOMERS, "stream_protocol": PROTOCOL, "provider_token": "customers"}
    return token | changed


async def test_the_operators_server_gets_the_operators_key_and_model():
    async with bridge(model()) as line:
        assert line.stream().target.url == OPERATORS + "?model=m"
        assert line.key() == "operators"


async def test_the_customers_server_gets_the_customers_key_and_no_model():
    async with bridge(model(), **own()) as line:
        assert line.stream().target.url == CUSTOMERS
        assert line.key() == "customers"


async def test_a_customers_server_never_gets_the_operators_key():
    async with bridge(model(), **own(provider_token="")) as line:
        assert line.key() == ""
        assert line.key(CUSTOMERS + "/else") == ""


async def test_the_customers_key_goes_to_its_own_server_only():
    async with bridge(model(), **own()) as line:
        assert line.key("ws://127.0.0.3:9/") == ""
        assert line.key(OPERATORS) == "operators"


async def test_a_key_of_the_agents_providers_is_not_sent_to_a_model():
    config = {"stt_url": "http://127.0.0.2:9/", "provider_token": "customers"}
    async with bridge(model(), **config) as line:
        assert line.key() == "operators"


async def test_another_scheme_or_port_is_another_server():
    async with bridge(model()) as line:
        assert line.key("ws://127.0.0.1:10/") == ""
        assert line.key("wss://127.0.0.1:9/") == ""
        assert line.key("ws://127.0.0.1:9/other") == "operators"


async def test_a_url_of_a_stream_of_another_protocol_is_not_a_models():
    async with bridge(model(), stream_url=CUSTOMERS) as line:
        assert line.stream().target.url.startswith(OPERATORS)


@pytest.mark.parametrize(
    ("url", "chosen", "expected"),
    [
        (OPERATORS, "", OPERATORS),
        (OPERATORS + "?a=1", "m", OPERATORS + "?a=1&model=m"),
        (OPERATORS + "?model=x", "m", OPERATORS + "?model=x"),
        (OPERATORS, "a b&c", OPERATORS + "?model=a+b%26c"),
    ],
)
async def test_the_model_is_named_where_the_url_names_none(url, chosen, expected):
    async with bridge(model(url=url, model=chosen)) as line:
        assert line.stream().target.url == expected


async def test_without_settings_of_the_operator_openai_is_asked_for_the_usual_model():
    async with bridge() as line:
        url = "wss://api.openai.com/v1/realtime"
        assert line.stream(url).target.url == f"{url}?model={Realtime().model}"


async def test_the_operators_server_is_reached_without_the_guard_and_a_customers_is_not():
    async with bridge(model(), net=settings().net) as line:
        http = line.client.bridge.events.http
        await line.check()
        assert line.stream().target.session == http.trusted_streams
        with pytest.raises(AddressBlocked):
            await line.check(OPERATORS)
        assert line.stream(OPERATORS).target.session == http.of(LINE).streams


async def test_a_line_without_a_server_is_told_what_to_set():
    async with bridge() as line:
        with pytest.raises(InvalidRequest, match="callStreamUrl"):
            await line.check()


async def test_what_the_customer_has_set_is_told_before_what_the_operator_has():
    realtime = model(instructions="Be brief.", greeting="Hello.", voice="marin")
    async with bridge(realtime, system_prompt="Be kind.") as line:
        session = line.stream().session
        assert (session.instructions, session.greeting) == ("Be kind.", "Hello.")
        assert session.voice == "marin"


async def test_the_model_is_offered_the_operators_functions_and_to_hang_up():
    tools = {"tools": [RealtimeTool(name="weather")], "tools_url": "https://example.com/"}
    async with bridge(model(hang_up=True, **tools)) as line:
        assert [tool.name for tool in line.stream().session.tools] == ["weather", "hang_up"]
    async with bridge(model()) as line:
        assert list(line.stream().session.tools) == []
