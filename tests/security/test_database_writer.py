"""Who may write to the database of several machines, and points a machine's `cluster.url` at a server of theirs."""

import asyncio
from contextlib import ExitStack

import aiohttp
import pytest

from tests.support.machine import free_port
from tests.support.server import running

pytestmark = [pytest.mark.postgresql, pytest.mark.full]

NEVER = "15550100003"


SETTINGS = {"CLUSTER__SECRET": "the secret of two machines of this test"}


@pytest.fixture
async def forger():
    """A server of the attacker's: its port, and what it has received."""
    received = bytearray()

    async def answer(reader, writer):
        received.extend(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1], received


@pytest.fixture
async def database(postgres_server):
    with postgres_server.database() as name:

        async def execute(*statements):
            await asyncio.to_thread(postgres_server.execute, *statements, database=name)

        yield postgres_server.url(name), execute


@pytest.fixture
async def machines(tmp_path, database):
    async def start(folder):
        url = f"http://127.0.0.1:{free_port()}"
        context = running(tmp_path / folder, **SETTINGS, DATA__URL=database[0], CLUSTER__URL=url)
        return await asyncio.to_thread(stack.enter_context, context)

    with ExitStack() as stack:
        yield [await start("0"), await start("1")]


@pytest.fixture
async def statuses(machines):
    """Asks the first machine about a call of the second, until an answer has a status; returns all statuses."""
    first, second = machines
    async with aiohttp.ClientSession(headers={"token": "demo"}) as http:
        async with http.post(second.url + "/call/dial", json={"phone": NEVER}) as answer:
            call_id = (await answer.json())["data"]["callId"]

        async def until(wanted):
            found = []
            async with asyncio.timeout(20):
                while wanted not in found:
                    async with http.get(f"{first.url}/call/{call_id}/quality") as answer:
                        found.append(answer.status)
                    # This asks every node.
                    async with http.get(f"{first.url}/call/status") as answer:
                        await answer.read()
            return set(found)

        yield until


async def test_customers_keys_are_not_sent_to_where_a_writer_of_the_database_points(
    forger, machines, database, statuses
):
    (port, received), (_, execute) = forger, database
    await statuses(200)
    # Written again and again, whatever the nodes write.
    await execute(
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.url := 'http://127.0.0.1:{port}'; RETURN NEW; END $$",
        "CREATE TRIGGER forge BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION forge()",
    )
    assert await statuses(503) <= {200, 503}
    assert "sibling.unsigned" in machines[0].log()
    await execute("DROP TRIGGER forge ON nodes")
    assert await statuses(200) <= {200, 503}
    assert bytes(received) == b""
