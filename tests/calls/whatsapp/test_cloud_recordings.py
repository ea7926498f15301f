"""Meta's own recordings and transcripts: downloaded, kept like ours, and deleted at Meta."""

import json
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.audio.file.ogg import OggWriter
from bridge.node.transcripts.meta_media import MAX_TRANSCRIPT, MAX_UNUSABLE
from bridge.stores.cloud_media import LEASE_SECONDS
from bridge.wire.cloud_recordings import MediaKind
from tests.calls.whatsapp.test_cloud import world
from tests.support.clients.event_stream import listening
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import USER
from tests.support.whatsapp.graph_style import DIALOG_360, KAPSO

pytestmark = pytest.mark.call

SAID = {"transcript": {"language": "en", "segments": [
    {"speaker": "Business", "channel": 0, "start": 0.5, "end": 1.0, "text": "Hello"},
    {"speaker": "Customer", "channel": 1, "start": 1.5, "end": 2.0, "text": "Hi", "words": [
        {"word": "Hi", "start": 1.5, "end": 2.0}]},
]}}  # fmt: skip
TRANSCRIPT = json.dumps(SAID).encode()
DAY = 86_400.0
METRIC = "bridge_whatsapp_files_total{"


def sound(channels: int = 1) -> bytes:
    """Two seconds of silence."""
    ogg = OggWriter(channels)
    packets = [(bytes((0x08, 1)), 960)] * 100
    return ogg.head() + ogg.pages(packets, end=96_000 + 312)


class Over:
    """A call that has ended, at the bridge and at Meta."""

    def __init__(self, meta, call_id, call) -> None:
        self.meta, self.call_id, self.call = meta, call_id, call
        self.files = meta.graph.files

    async def tell(self, kind: MediaKind, body: bytes, **more) -> None:
        """Let Meta tell of a file."""
        assert await self.meta.graph.tell(self.files.told(self.call, kind, body, **more)) == [200]

    async def recordings(self):
        return (await self.meta.client.data_of(f"/call/{self.call_id}/recordings"))["recordings"]

    async def transcript(self) -> Any:
        answer = await self.meta.client.get(f"/call/{self.call_id}/transcript")
        return answer.status == 200 and (await answer.json())["data"]

    async def jobs(self):
        return await self.query(
            "SELECT kind, status, attempts, due_at FROM whatsapp_media ORDER BY kind"
        )

    async def states_are(self, expected) -> bool:
        return bool([status for _, status, *_ in await self.jobs()] == expected)

    async def count(self, outcome: str) -> float:
        """How often the metric has counted an outcome."""
        client = self.meta.client
        found: dict[str, str] = {}
        for http in {client.http, client.owner}:  # the nodes of one machine tell the same
            text = await (await http.get("/metrics", headers=client.local)).text()
            rows = (row.rpartition(" ") for row in text.splitlines())
            found |= {name: value for name, _, value in rows if f'outcome="{outcome}"' in name}
        return sum(float(found[one]) for one in found if one.startswith(METRIC))

    async def failed(self, attempts: int) -> None:
        """Wait until so many attempts have failed, and nobody holds the lease of the job."""

        async def tried() -> bool:
            found = [job for job in await self.jobs() if job[1] != "done"]
            leased = any(abs(job[3] - time.time() - LEASE_SECONDS) < 20 for job in found)
            return bool([job[2] for job in found] == [attempts] and not leased)

        await until_answer(tried)

    async def hurry(self, *, days: float = 0.0) -> None:
        """Let time pass: retries are due, and the webhook came so long ago."""
        await self.query("UPDATE whatsapp_media SET due_at = 0, told_at = told_at - ?", days * DAY)
        self.meta.client.bridge.lines.cloud.media_due.set()

    async def query(self, statement, *values):
        database = self.meta.client.bridge.events.database
        return await database.run(lambda db: db.execute(statement, values).fetchall())


async def over(meta, *, outbound: bool = False) -> Over:
    """Have a call, and end it."""
    if outbound:
        call_id = await meta.client.dial(USER)
        call = meta.graph.last
        await meta.graph.pick_up(call)
    else:
        call = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await meta.client.data("/call/answer", {"callId": call_id})
        await until(lambda: call.state == "ACTIVE")
    await meta.graph.hang_up(call)

    async def gone() -> bool:
        return bool(await meta.client.state(call_id) == "gone")

    await until_answer(gone)
    return Over(meta, call_id, call)


@asynccontextmanager
async def recorded(**more):
    async with world(files=True, **more) as meta:
        yield await over(meta)


async def test_both_are_kept_listed_read_and_announced_like_ours():
    async with recorded() as call, listening(call.meta.client, "/events") as stream:
        await call.tell(MediaKind.RECORDING, sound())
        assert (await stream.until_type("recording.ready"))["data"]["source"] == "meta"
        await call.tell(MediaKind.TRANSCRIPT, TRANSCRIPT)
        assert (await stream.until_type("transcript.ready"))["data"]["source"] == "meta"
        [recording] = await until_answer(call.recordings)
        shown = {name: recording[name] for name in ("source", "kind", "durationMs", "status")}
        assert shown == {
            "source": "meta",
            "kind": "mixed",
            "durationMs": 2000,
            "status": "completed",
        }
        file = await call.meta.client.get(recording["url"])
        assert (file.status, await file.read()) == (200, sound())
        found = await until_answer(call.transcript)
        assert found["source"] == "meta"
        assert [(one["track"], one["text"]) for one in found["phrases"]] == [
            ("outbound", "Hello"),
            ("inbound", "Hi"),
        ]
        await until(lambda: not call.files.content)
        assert await call.count("deleted") == await call.count("stored") == 2


async def test_a_recording_of_both_channels_is_had_as_wav_too():
    async with recorded() as call:
        await call.tell(MediaKind.RECORDING, sound(2))
        [recording] = await until_answer(call.recordings)
        answer = await call.meta.client.get(recording["url"].replace("=ogg", "=wav"))
        wav = await answer.read()
        assert (answer.status, wav[:4]) == (200, b"RIFF")
        assert len(wav) == pytest.approx(44 + 2 * 32_000, abs=1000)


@pytest.mark.parametrize("style", [KAPSO, DIALOG_360])
async def test_files_are_had_from_a_provider_in_front_of_meta_that_serves_them_itself(style):
    async with world(files=True, style=style) as meta:
        meta.graph.files.at_meta = True
        call = await over(meta)
        await call.tell(MediaKind.RECORDING, sound())
        await until_answer(call.recordings)
        await until(lambda: not call.files.content)


async def test_a_file_of_an_outbound_call_that_ended_days_ago_is_found():
    async with world(files=True, meta_delete=False) as meta:
        call = await over(meta, outbound=True)
        await call.query("UPDATE whatsapp_calls SET ended_at = ended_at - ?", 3 * DAY)
        await over(meta)  # deletes what has expired
        await call.tell(MediaKind.RECORDING, sound())
        [recording] = await until_answer(call.recordings)
        assert recording["callId"] == call.call_id
        assert list(call.files.content) == ["1001"]


async def test_what_fails_is_tried_again_by_its_id():
    async with recorded() as call:
        call.files.faults["download"] = [500]
        await call.tell(MediaKind.RECORDING, sound())
        await call.failed(1)
        call.files.expire()
        await call.hurry()
        await until_answer(call.recordings)
        await until(lambda: not call.files.content)
        what = [what for what, _ in call.files.asked]
        assert what == ["download", "describe", "download", "delete"]


async def test_a_webhook_that_comes_twice_makes_one_recording():
    async with recorded() as call:
        await call.tell(MediaKind.RECORDING, sound())
        await until_answer(call.recordings)
        await call.tell(MediaKind.RECORDING, sound())
        await call.tell(MediaKind.TRANSCRIPT, TRANSCRIPT)
        await until_answer(call.transcript)
        assert len(await call.recordings()) == 1


async def test_a_file_that_cannot_be_had_in_seven_days_has_failed():
    async with recorded() as call, listening(call.meta.client, "/events") as stream:
        call.files.faults["download"] = [500]
        await call.tell(MediaKind.RECORDING, sound())
        await call.failed(1)
        call.files.faults["describe"] = [503] * 3
        await call.hurry(days=7.5)
        told = (await stream.until_type("recording.failed"))["data"]
        assert (told["reason"], told["source"]) == ("unavailable", "meta")
        [recording] = await until_answer(call.recordings)
        assert (recording["status"], recording["source"]) == ("failed", "meta")
        assert await call.count("failed") == 1


@pytest.mark.parametrize(
    ("kind", "body", "more"),
    [
        (MediaKind.TRANSCRIPT, b"[" * 100_000, {}),
        (MediaKind.TRANSCRIPT, TRANSCRIPT, {"sha256": 43 * "A" + "="}),
        (MediaKind.TRANSCRIPT, bytes(MAX_TRANSCRIPT + 1), {}),
    ],
)
async def test_a_file_that_is_not_what_was_announced_has_failed_after_a_few_attempts(
    kind, body, more
):
    async with recorded() as call:
        await call.tell(kind, body, **more)
        for attempt in range(1, MAX_UNUSABLE):
            await call.failed(attempt)
            await call.hurry()
        found = await until_answer(call.transcript)
        assert (found["status"], found["failure"]) == ("failed", "unusable")
        assert await call.states_are(["done"])
        assert list(call.files.content) == ["1001"], "what was not kept is left to Meta"


async def test_a_file_elsewhere_is_not_asked_for_with_the_token():
    async with recorded() as call:
        elsewhere = call.files.url.replace("127.0.0.1", "127.0.0.2")
        await call.tell(MediaKind.RECORDING, sound(), url=f"{elsewhere}/?mid=1001&issue=0")
        await call.failed(1)
        assert call.files.asked == []
        await call.hurry()
        await until_answer(call.recordings)


async def test_a_deletion_that_fails_is_told_and_tried_again():
    async with recorded() as call:
        call.files.faults["delete"] = [503] * 3
        await call.tell(MediaKind.RECORDING, sound())
        await call.failed(1)
        assert await call.count("delete_retried") == 1
        assert list(call.files.content) == ["1001"]
        await call.hurry()
        await until(lambda: not call.files.content)


async def test_a_call_that_is_erased_is_deleted_at_meta_too():
    async with recorded() as call:
        call.files.faults["download"] = [500]
        await call.tell(MediaKind.RECORDING, sound())
        await call.failed(1)
        answer = await call.meta.client.http.delete(
            f"/calls/{call.call_id}", headers={"token": "demo"}
        )
        assert answer.status == 200
        await until(lambda: not call.files.content)
        # What comes after the erasure is not kept either.
        await call.tell(MediaKind.TRANSCRIPT, TRANSCRIPT)
        await call.failed(1)
        await call.hurry(days=0.5)
        await until(lambda: not call.files.content)
        assert await call.transcript() is False


async def test_a_download_is_finished_by_the_next_process(tmp_path):
    async with world(files=True, data=str(tmp_path)) as meta:
        call = await over(meta)
        call.files.faults["download"] = [500]
        await call.tell(MediaKind.RECORDING, sound())
        await call.failed(1)
    async with world(files=True, data=str(tmp_path)) as meta:
        again = Over(meta, call.call_id, call.call)
        again.files.content = {"1001": sound()}
        await again.hurry()
        [recording] = await until_answer(again.recordings)
        assert recording["status"] == "completed"


async def test_an_agent_waits_until_meta_has_announced_that_it_records():
    async with world(recording_purpose="quality", announcement_seconds=600.0) as meta:
        ringing = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await meta.client.data("/call/answer", {"callId": call_id})
        await until(lambda: ringing.state == "ACTIVE")
        await meta.client.until_state(call_id, "active")
        runner = meta.client.bridge.manager.running(call_id)
        agent = meta.client.bridge.control.agents.start(runner)
        assert agent.script.delay == pytest.approx(600, abs=15)
