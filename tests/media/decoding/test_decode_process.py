"""The decoder as a process of its own: its limits, and its end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.media.decoding import decode, sandbox
from tests.support.sound.sound_files import wav_claiming
from tests.support.sound.wav import wav_file

SECONDS = 20.0


@pytest.fixture
def process():
    made = subprocess.Popen(
        [sys.executable, "-I", sandbox.__file__, decode.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={},
        bufsize=0,
    )
    yield made
    made.kill()
    for end in (made.stdin, made.stdout):
        assert end is not None
        end.close()
    made.wait()


def ask(process, path):
    """Ask for a file; gives the answer, and leaves the sound."""
    process.stdin.write(json.dumps({"path": str(path)}).encode() + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        line += process.stdout.read(1)
    return json.loads(line)


def sound(folder, content):
    path = folder / "sound"
    path.write_bytes(content)
    return path


def test_it_ends_when_nobody_asks_it_any_more(process):
    """As when the bridge was killed."""
    process.stdin.close()
    assert process.wait(SECONDS) == 0


def test_it_ends_when_nobody_listens_any_more(process, tmp_path):
    ask(process, sound(tmp_path, wav_file(bytes(32_000 * 60))))
    process.stdout.close()
    assert process.wait(SECONDS) == 1


def test_it_ends_with_0_once_the_whole_file_is_told(process, tmp_path):
    assert ask(process, sound(tmp_path, wav_file(bytes(32_000)))) == {"duration": 1.0}
    assert len(process.stdout.readall()) == 32_000
    assert process.wait(SECONDS) == 0


def test_it_ends_with_1_after_a_file_that_is_no_sound(process, tmp_path):
    assert "error" in ask(process, sound(tmp_path, b"no sound"))
    assert process.wait(SECONDS) == 1


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("Max address space", sandbox.MEMORY_BYTES),
        ("Max cpu time", decode.PROCESSOR_SECONDS),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max open files", sandbox.OPEN_FILES),
    ],
)
def test_a_hostile_file_cannot_take_more_than_it_is_given(process, tmp_path, name, most):
    ask(process, sound(tmp_path, wav_file(bytes(32_000 * 60))))
    limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    [line] = [line for line in limits if line.startswith(name)]
    assert line.removeprefix(name).split()[:2] == [str(most), str(most)]


@pytest.mark.parametrize("channels", [1, 8])
def test_a_file_that_claims_4_gb_takes_no_more_than_it_has(process, tmp_path, channels):
    # Ten seconds: more than the pipe holds, so that the process is still there to be measured.
    data = bytes(320_000 * channels)
    content = wav_claiming(claims=0xFFFFFFFF, channels=channels, data=data)
    ask(process, sound(tmp_path, content))
    held = Path(f"/proc/{process.pid}/status").read_text()
    [peak] = [int(line.split()[1]) for line in held.splitlines() if line.startswith("VmHWM")]
    assert peak < 150_000
