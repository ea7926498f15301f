"""Recordings of a process that is killed: how much is there afterwards, and where."""

import os
import signal
import time

import pytest

from bridge.audio.file.wav import parse_wav
from tests.support import server
from tests.support.machine import free_port
from tests.support.server import Server

TALKS = "15550100002"
CLOCK_SECONDS = 3.0
pytestmark = [pytest.mark.full, pytest.mark.call]


def recorded_until_killed(bridge: Server) -> tuple[str, float]:
    """Record a call, kill the process; gives the mixed track's id and how long it was recorded."""
    call_id = bridge.post("/call/dial", {"phone": TALKS})["callId"]
    before = time.monotonic()
    tracks = bridge.post("/call/record/start", {"callId": call_id})["recordings"]
    time.sleep(CLOCK_SECONDS)
    elapsed = time.monotonic() - before
    os.kill(bridge.process.pid, signal.SIGKILL)
    bridge.process.wait(10)
    [mixed] = [track for track in tracks if track["kind"] == "mixed"]
    return mixed["recordingId"], elapsed


def fetched(bridge: Server, path: str) -> bytes:
    """Get a file, once it is there."""
    until = time.monotonic() + 15
    while True:
        try:
            return bridge.content(path)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_a_process_that_is_killed_loses_less_than_a_second_of_a_recording(tmp_path):
    with server.running(tmp_path, SIMULATOR__RING_SECONDS="0") as bridge:
        recording, elapsed = recorded_until_killed(bridge)
    with server.running(tmp_path) as bridge:
        wav = parse_wav(fetched(bridge, f"/recordings/{recording}"))
        assert elapsed - 1.0 <= len(wav.pcm) / 32000 <= elapsed + 0.1
        assert any(wav.pcm)
        assert fetched(bridge, f"/recordings/{recording}?format=ogg")[:4] == b"OggS"


def test_what_a_killed_process_had_not_moved_up_is_moved_up_by_the_next(tmp_path, s3_bucket):
    account = s3_bucket.account()
    store = {
        "RECORDING__S3__BUCKET": account.bucket,
        "RECORDING__S3__ENDPOINT": account.endpoint,
        "RECORDING__S3__ACCESS_KEY": account.access_key,
        "RECORDING__S3__SECRET_KEY": account.secret_key,
    }
    down = store | {"RECORDING__S3__ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with server.running(tmp_path, SIMULATOR__RING_SECONDS="0", **down) as bridge:
        call_id = bridge.post("/call/dial", {"phone": TALKS})["callId"]
        bridge.post("/call/record/start", {"callId": call_id})
        time.sleep(0.5)
        stopped = bridge.post("/call/record/stop", {"callId": call_id})
        assert (stopped["status"], stopped["mediaKey"]) == ("completed", "")
        recording, _ = recorded_until_killed(bridge)
    with server.running(tmp_path, **store) as bridge:
        until = time.monotonic() + 20
        while len(s3_bucket.objects()) < 8 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(s3_bucket.objects()) == 8, bridge.log()
        assert any(call_id in key for key in s3_bucket.objects())
        content = fetched(bridge, f"/recordings/{recording}")
        assert len(content) in s3_bucket.objects().values()
        assert account.secret_key not in bridge.log()
