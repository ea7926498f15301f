"""Moving everything in the database to another one, of either engine."""

import argparse
import asyncio
from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest

from bridge.app.databases import engine_of
from bridge.call.model import LineName
from bridge.cli.migrate_data import move, run
from bridge.db import folder_lock, table_copy
from bridge.db.spool import FOLDER, Spool
from bridge.db.table_copy import Place
from bridge.errors import SetupError
from bridge.settings.model import Data, Net
from bridge.stores.secret import shared_secret
from tests.support.inprocess import running, settings
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.receiver import receiving
from tests.support.waiting import until, until_answer

PERSON, LINE = "15550100002", LineName("demo")
pytestmark = pytest.mark.postgresql


@pytest.fixture
def url(postgres_url):
    return postgres_url


def at(data):
    return settings(data=data, net=Net(allow=["127.0.0.0/8"]))


async def use(client):
    """Have a call that is recorded, and whose webhooks are not taken."""
    call_id = await client.dial(PERSON)
    await client.data("/call/record/start", {"callId": call_id})
    await asyncio.sleep(0.3)
    await client.data("/call/record/stop", {"callId": call_id})  # which waits for the files
    await client.data("/call/hangup", {"callId": call_id})
    await client.until_state(call_id, "gone")
    await until_answer(lambda: told(client, call_id))
    return call_id


async def told(client, call_id):
    """Whether the last events of a recorded call, in any order, are on disk: each of its three files is ready, and a copy made."""
    events = await client.bridge.events.log.read(0, None, call_id)
    found = Counter(event.type for _, event in events)
    return found >= Counter({"call.ended": 1, "recording.ready": 3, "recording.copied": 1})


async def seen(client):
    """What clients see of the data."""
    bridge = client.bridge
    events = await bridge.events.log.read(0)
    calls = {event.call.id for _, event in events if event.call}
    archive = bridge.records.recordings.archive
    return {
        "events": events,
        "calls": await client.data_of("/calls"),
        "recordings": [await archive.of_call(LINE, call_id) for call_id in sorted(calls)],
        "webhooks": await client.data_of("/webhook"),
        "identity": bridge.site.identity,
    }


async def test_a_bridge_goes_on_with_its_data_on_the_other_engine_and_back(tmp_path, url):
    places = [
        Data(dir=str(tmp_path / "one")),
        Data(dir=str(tmp_path / "one"), url=url),
        Data(dir=str(tmp_path / "one")),
    ]
    async with receiving() as hook:
        hook.answer = lambda taken: 500
        async with running(at(places[0])) as client:
            await client.data("/webhook", {"url": hook.url})
            await use(client)
            await until(lambda: hook.refused)
            before = await seen(client)
        for source, target in pairwise(places):
            if not target.url:
                for former in (tmp_path / "one").glob("bridge.sqlite3*"):
                    former.rename(tmp_path / former.name)
            await asyncio.to_thread(move, source, target)
            async with running(at(target)) as client:
                assert await seen(client) == before
                await use(client)
                before = await seen(client)
        numbers = [number for number, _ in before["events"]]
        assert numbers == sorted(set(numbers))
        hook.answer = lambda taken: 200
        async with running(at(places[-1])) as client:
            assert len((await seen(client))["recordings"]) == len(places)
            await client.data("/events/replay", {})
            await until(lambda: len({taken.body for taken in hook.taken}) >= 2 * len(places))


@pytest.fixture
def moved(tmp_path):
    """A data folder that a bridge has used."""
    data = Data(dir=str(tmp_path / "data"))
    shared_secret(engine_of(data), tmp_path / "data")
    return data


async def test_numbers_of_deleted_rows_are_not_given_again(moved, url, tmp_path):
    add = "INSERT INTO events (line, at, body) VALUES ('one', 1, '') RETURNING seq"

    def add_and_delete(engine):
        with closing(engine.open()) as session:
            [(number,)] = session.execute(add).fetchall()
            session.execute("DELETE FROM events")
            return number

    places = [moved, Data(dir=moved.dir, url=url), Data(dir=str(tmp_path / "back"))]
    numbers = [await asyncio.to_thread(add_and_delete, engine_of(moved))]
    for source, target in pairwise(places):
        await asyncio.to_thread(move, source, target)
        numbers.append(await asyncio.to_thread(add_and_delete, engine_of(target)))
    assert numbers == [1, 2, 3]


async def test_a_target_that_has_data_is_refused(moved, url):
    await asyncio.to_thread(move, moved, Data(dir=moved.dir, url=url))
    with pytest.raises(SetupError, match="has data already"):
        await asyncio.to_thread(move, moved, Data(dir=moved.dir, url=url))


async def test_a_bridge_that_runs_is_refused(moved, url, tmp_path):
    with folder_lock.in_use(tmp_path / "data"), pytest.raises(SetupError, match="stop it first"):
        await asyncio.to_thread(move, moved, Data(dir=moved.dir, url=url))


async def test_events_that_wait_on_the_disk_are_not_left_behind(moved, url, tmp_path):
    spool = Spool(tmp_path / "data" / FOLDER)
    with closing(spool):
        spool.add([("event", b"{}")])
    with pytest.raises(SetupError, match=r"1 events in .* wait for the PostgreSQL database"):
        await asyncio.to_thread(move, moved, Data(url=url, dir=moved.dir))


async def test_events_on_the_disk_that_cannot_be_read_are_not_left_behind_unsaid(
    moved, url, tmp_path
):
    folder = tmp_path / "data" / FOLDER
    folder.mkdir()
    (folder / "1.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(SetupError, match="cannot be read"):
        await asyncio.to_thread(move, moved, Data(url=url, dir=moved.dir))


async def test_nodes_of_other_machines_that_run_are_refused(moved, url, tmp_path):
    def live():
        with closing(engine_of(Data(dir=moved.dir, url=url)).open()) as session:
            session.execute(
                "INSERT INTO nodes (boot, node, run, machine, url, started_at, lease_until) "
                "VALUES ('b', 1, 'r', 'm', '', 1, ?)",
                (session.now() + 60,),
            )

    await asyncio.to_thread(live)
    with pytest.raises(SetupError, match="stop the bridge on all machines"):
        await asyncio.to_thread(move, Data(dir=moved.dir, url=url), Data(dir=str(tmp_path / "two")))


async def test_tables_of_another_version_are_refused(moved, url):
    with closing(engine_of(moved).open()) as session:
        session.execute("UPDATE bridge_schema SET version = 0")
    with pytest.raises(SetupError, match="start this version once"):
        await asyncio.to_thread(move, moved, Data(dir=moved.dir, url=url))


async def test_a_folder_without_a_database_is_refused(url, tmp_path):
    with pytest.raises(SetupError, match=r"there is no bridge\.sqlite3"):
        await asyncio.to_thread(move, Data(dir=str(tmp_path)), Data(dir=str(tmp_path), url=url))


async def test_a_move_that_fails_leaves_an_empty_target(moved, url, monkeypatch):
    monkeypatch.setattr(table_copy, "_continue_after", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(move, moved, Data(dir=moved.dir, url=url))

    def count():
        with closing(engine_of(Data(dir=moved.dir, url=url)).open()) as session:
            return sum(table_copy.counts(Place(session, "postgresql")).values())

    assert await asyncio.to_thread(count) == 0


def arguments(**given):
    return argparse.Namespace(**({"config": None, "source": None, "target": None} | given))


def test_the_command_moves_to_the_database_of_the_settings(moved, url, monkeypatch, capsys):
    monkeypatch.setenv("BRIDGE_DATA__DIR", moved.dir)
    monkeypatch.setenv("BRIDGE_DATA__URL", url)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(arguments()) == 0
    out, progress = capsys.readouterr()
    assert "moved 1 rows to test_" in out
    assert "secrets: 1 of 1" in progress


def test_passwords_are_not_shown(moved, postgres_server, monkeypatch):
    monkeypatch.setenv("BRIDGE_DATA__DIR", moved.dir)
    with postgres_server.database() as name:
        url = postgres_server.tcp_url(name)
        assert PASSWORD in url
        assert run(arguments(target=url)) == 0
        with pytest.raises(SetupError, match=f"{name} on 127.0.0.1 has data already") as refusal:
            run(arguments(target=url))
    assert PASSWORD not in str(refusal.value)


def test_a_target_must_be_named(moved, monkeypatch):
    monkeypatch.setenv("BRIDGE_DATA__DIR", moved.dir)
    with pytest.raises(SetupError, match="say where to"):
        run(arguments())
