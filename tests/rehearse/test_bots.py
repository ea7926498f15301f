"""Free ports in the commands and URLs of bots, and how a bot that connects finds its call."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.call.model import LineName
from bridge.rehearse.bench import RehearsedLine
from bridge.rehearse.bots import dialled, environment, with_ports
from bridge.rehearse.scenario import Bot, Scenario
from bridge.rehearse.scenario_file import ScenarioError

URL = "ws://127.0.0.1:{port}"


def bots(*wanted: Bot) -> list[Bot]:
    return [one.bot for one in with_ports(Scenario(bot=bot) for bot in wanted)]


def test_a_command_and_its_url_get_the_same_free_port():
    [made] = bots(Bot(url=f"{URL}/call", command="bot --port {port}"))
    port = made.command.rpartition(" ")[2]
    assert made.url == f"ws://127.0.0.1:{port}/call"
    with socket.create_server(("127.0.0.1", int(port))):
        pass


def test_one_command_has_one_port_and_another_another():
    first, same, other = bots(
        Bot(url=URL, command="one {port}"),
        Bot(url=f"{URL}/b", command="one {port}"),
        Bot(url=URL, command="two {port}"),
    )
    assert first.command == same.command
    assert first.url != other.url


def test_an_address_that_is_named_is_kept():
    bot = Bot(url="ws://127.0.0.1:9000", command="bot")
    assert bots(bot) == [bot]


async def test_a_bot_of_somebody_else_is_not_used():
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"ws://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ScenarioError, match=r"is listening .* already: .*\{port\}"):
            async with dialled("true", url):
                pass


def found_by(protocol: Any) -> dict[str, str]:
    """Return what a bot of a protocol finds in its environment beside what all find."""
    tickets = SimpleNamespace(issue=lambda *_, **who: (f"ticket of {who}", None))
    bench: Any = SimpleNamespace(
        url="http://127.0.0.1:1",
        lines={"": RehearsedLine(LineName("line"), "key")},
        bridge=SimpleNamespace(access=SimpleNamespace(tickets=tickets)),
    )
    found = environment(bench, Scenario(bot=Bot(listen=True, protocol=protocol)), "id")
    every = {"BRIDGE_URL": "http://127.0.0.1:1", "BRIDGE_KEY": "key", "BRIDGE_CALL_ID": "id"}
    assert every.items() <= found.items()
    return {name: value for name, value in found.items() if name not in every}


def test_a_bot_with_a_socket_finds_its_url():
    url = "ws://127.0.0.1:1/call/id/stream?token=key"
    assert found_by(None) == found_by("zuckzapgo") == {"BRIDGE_MEDIA_URL": url}
    wadial = "ws://127.0.0.1:1/api/v1/sessions/line/calls/id/media?token=key"
    assert found_by("wadial") == {"BRIDGE_MEDIA_URL": wadial}


def test_a_webrtc_bot_finds_what_it_needs_for_an_offer():
    assert found_by("webrtc") == {}


def test_a_livekit_bot_finds_a_token_for_a_machine():
    found = found_by("livekit")
    assert found["LIVEKIT_URL"] == "ws://127.0.0.1:1"
    assert "'machine': True" in found["LIVEKIT_TOKEN"]
