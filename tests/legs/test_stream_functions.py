"""Functions that a model calls: how each is answered, and how many run at once."""

import asyncio
import json

import pytest

from bridge.legs.stream_functions import (
    MAX_FUNCTION_CALLS,
    FunctionFailed,
    StreamFunctions,
    no_functions,
)
from bridge.wire.stream.media_stream import FunctionCall, Reply


class Model:
    """What is sent back to it, and what is reported."""

    def __init__(self, call) -> None:
        self.outputs: list[str] = []
        self.errors: list[tuple[str, str]] = []
        self.functions = StreamFunctions(
            call,
            say=lambda reply: self.outputs.append(reply.message.decode()),
            report=lambda code, message: self.errors.append((code, message)),
        )

    def call(self, group, name="weather", arguments="{}"):
        def answer(output):
            return [Reply(output.encode())]

        self.functions.begin(FunctionCall(name, arguments, answer), group)


async def test_the_output_of_a_function_answers_its_call():
    async def call(name, arguments):
        return f"{name} {arguments}"

    model = Model(call)
    async with asyncio.TaskGroup() as group:
        model.call(group, arguments='{"city":"Rome"}')
    assert (model.outputs, model.errors) == (['weather {"city":"Rome"}'], [])


async def test_a_function_that_fails_is_answered_and_reported():
    async def call(_name, _arguments):
        raise FunctionFailed("HTTP 500")

    model = Model(call)
    async with asyncio.TaskGroup() as group:
        model.call(group)
    assert model.outputs == ['{"error":"HTTP 500"}']
    assert model.errors == [("function_failed", "weather: HTTP 500")]


async def test_a_model_that_was_offered_no_function_is_told_so():
    model = Model(no_functions)
    async with asyncio.TaskGroup() as group:
        model.call(group)
    assert json.loads(model.outputs[0]) == {"error": "there is no such function"}


async def test_calls_beyond_the_limit_are_answered_at_once():
    gate = asyncio.Event()

    async def call(_name, _arguments):
        await gate.wait()
        return "done"

    model = Model(call)
    async with asyncio.TaskGroup() as group:
        for _ in range(MAX_FUNCTION_CALLS + 1):
            model.call(group)
        assert model.outputs == ['{"error":"too many functions are running"}']
        gate.set()
    assert model.outputs.count("done") == MAX_FUNCTION_CALLS
    async with asyncio.TaskGroup() as group:
        model.call(group)
    assert model.outputs.count("done") == MAX_FUNCTION_CALLS + 1


@pytest.mark.virtual_time
async def test_functions_that_run_at_once_take_time_once():
    async def call(_name, arguments):
        await asyncio.sleep(float(arguments))
        return "done"

    model, began = Model(call), asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        assert model.functions.seconds_between(began, began + 9) is None
        model.call(group, arguments="2")
        model.call(group, arguments="1")
        await asyncio.sleep(1.5)
        assert model.functions.seconds_between(began, began + 9) == pytest.approx(1.5)
        await asyncio.sleep(2.5)
        model.call(group, arguments="1")
    assert model.functions.seconds_between(began, began + 9) == pytest.approx(3)
    assert model.functions.seconds_between(began + 1, began + 4.5) == pytest.approx(1.5)
    assert model.functions.seconds_between(began + 2.5, began + 3) is None
