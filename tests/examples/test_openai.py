"""The bridge's settings for a speech-to-speech model, and the program that runs the model's functions."""

import json

import pytest

from tests.examples.program import calling, running_example
from tests.support.machine import free_port
from tests.support.packets.opus_packets import decode
from tests.support.servers.realtime_double import Call, Say, Script, realtime_server
from tests.support.sound.speech_compare import level_db
from tests.support.sound.voices import words
from tests.support.waiting import until

pytestmark = [
    pytest.mark.call,
    pytest.mark.examples,
]

AUDIBLE_DB = -50.0


@pytest.fixture(scope="module")
def server_port():
    return free_port()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server_port):
    with running_example(
        tmp_path_factory.mktemp("openai"),
        "openai",
        OPENAI_API_KEY="the-key-of-the-test",
        BRIDGE_LINES__DEMO__REALTIME__URL=f"ws://127.0.0.1:{server_port}/v1/realtime",
    ) as example:
        yield example


async def test_the_model_greets_calls_a_function_and_answers(shop, server_port):
    script = Script([[Say(2)], [Call("repair_status", '{"number": "17"}')], [Say(2)]])
    async with realtime_server(script, server_port) as server, calling(shop) as call:
        await call.api.request(
            "POST", f"/call/{call.call_id}/streams", {"streamProtocol": "openai-realtime"}
        )
        session = await server.session()
        assert session.headers["Authorization"] == "Bearer the-key-of-the-test"
        await until(lambda: "bicycle shop" in session.session.get("instructions", ""), timeout=20)
        assert [tool["name"] for tool in session.session["tools"]] == ["repair_status", "hang_up"]
        arrivals = call.caller.peer.arrivals
        await until(lambda: len(arrivals) > 60, timeout=20)
        assert level_db(decode([one.payload for one in arrivals])) > AUDIBLE_DB

        call.caller.say(words(1, 1.5))
        await until(lambda: session.of("conversation.item.create"), timeout=20)
        [created] = session.of("conversation.item.create")
        output = json.loads(created["item"]["output"])
        assert output == {"status": "finished; it costs 40 euros"}
        assert "repair_status {'number': '17'}" in shop.text()
        before = len(arrivals)
        await until(lambda: len(arrivals) > before + 40, timeout=20)
    assert session.errors == []
