"""Free ports in the commands and URLs of bots."""

import socket

import pytest

from bridge.rehearse.bots import dialled, with_ports
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
        with pytest.raises(ScenarioError, match=r"listens .* already: .*\{port\}"):
            async with dialled("true", url):
                pass
