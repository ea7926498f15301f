"""What a hostile sound file could do once it has taken over the process that decodes it: nothing.

The attempts are made by a program of ours in the real sandbox, as code that a file smuggled in would.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from bridge.audio.file.wav import make_header
from bridge.media.decoding import decode, encode, sandbox, sandboxed
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

SECONDS = 20.0
LANDLOCK = max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))
"""The ABI of this kernel's Landlock, 0 where there is none."""
ATTEMPTS = {
    "read the database": "open(data + '/bridge.sqlite3').read()",
    "read the keys of the bridge": "open('/proc/%d/environ' % os.getppid()).read()",
    "read what it was started with": "open('/proc/self/environ').read()",
    "open again what is open": "open('/proc/self/fd/%d' % held.fileno()).read()",
    "list a folder": "os.listdir(data)",
    "look for a file": "os.stat(data + '/bridge.sqlite3')",
    "write a file": "open(data + '/new', 'w')",
    "write to the database": "open(data + '/bridge.sqlite3', 'a')",
    "delete the database": "os.unlink(data + '/bridge.sqlite3')",
    "rename the database": "os.rename(data + '/bridge.sqlite3', data + '/other')",
    "cut the database off": "os.truncate(data + '/bridge.sqlite3', 0)",
    "change who may read": "os.chmod(data + '/bridge.sqlite3', 0o777)",
    "lay a link": "os.symlink(data, data + '/link')",
    "make a folder": "os.mkdir(data + '/folder')",
    "reach a server": "socket.create_connection(('127.0.0.1', port))",
    "send a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "send a datagram over IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "reach a socket of the bridge": "socket.socket(socket.AF_UNIX).connect(data + '/node.sock')",
    "talk to the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "look a name up": "socket.getaddrinfo('localhost', 80)",
    "make a pair of sockets": "socket.socketpair()",
    "start a program": "os.execv('/bin/sh', ['/bin/sh', '-c', 'true'])",
    "start a process": "os.fork()",
    "start a shell": "subprocess.run(['/bin/true'])",
    "kill the bridge": "os.kill(os.getppid(), 15)",
    "be somebody else": "os.setuid(65534)",
    "take more than its limits": "resource.setrlimit(resource.RLIMIT_CPU, (99999, 99999))",
    "read another process's memory": "refused(libc.syscall(310, os.getppid(), None, 0, None, 0, 0))",
    "trace the bridge": "refused(libc.ptrace(16, os.getppid(), None, None))",
    "make a namespace": "refused(libc.unshare(0x10000000))",
    "open an io_uring": "refused(libc.syscall(425, 8, None))",
    "load code that is no file": "refused(libc.syscall(319, b'a', 0))",
}
PROBE = """
import ctypes, encodings.idna, json, os, resource, socket, subprocess, sys

PROCESSOR_SECONDS, FILE_BYTES, NICENESS = 20, 0, 5
libc = ctypes.CDLL(None, use_errno=True)

def refused(answer):
    if answer == -1:
        raise OSError(ctypes.get_errno(), "refused")

def main(lock, data, port, attempts):
    port = int(port)
    held = open(data + "/bridge.sqlite3")
    layers = lock()
    told = {}
    for name, attempt in json.loads(attempts).items():
        try:
            eval(attempt, globals() | {"data": data, "port": port, "held": held})
        except (OSError, ValueError):
            told[name] = "refused"
        except BaseException as error:
            told[name] = repr(error)
        else:
            told[name] = "done"
    print(json.dumps({"layers": layers, "told": told, "held": held.read()}), flush=True)
    os._exit(0)
"""
ALONE = """
import ctypes, encodings.idna, os, runpy, socket, sys
layers = runpy.run_path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
layers[sys.argv[2]](libc)
done = []
for name, attempt in (
    ("file", lambda: os.open(sys.argv[1], os.O_RDONLY)),
    ("tcp", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])))),
    ("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
):
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(*done, flush=True)
"""


@pytest.fixture(scope="module")
def port():
    """A server that a process without a sandbox reaches."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory, port):
    """What a program in the sandbox says of its attempts."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "bridge.sqlite3").write_text("the database")
    (folder / "probe.py").write_text(PROBE)
    arguments = [folder / "probe.py", folder, str(port), json.dumps(ATTEMPTS)]
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(str(folder / "node.sock"))
        node.listen()
        done = subprocess.run(
            [sys.executable, "-I", sandbox.__file__, *arguments],
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    assert (folder / "bridge.sqlite3").read_text() == "the database"
    return json.loads(done.stdout)


def status(pid, name):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def open_files(pid):
    names = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in names if name.startswith("/")}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_code_in_a_decoder_cannot(told, attempt):
    assert told["told"][attempt] == "refused"


def test_what_was_open_before_can_still_be_read(told):
    assert told["held"] == "the database"


def test_both_layers_hold_where_the_kernel_has_them(told):
    assert told["layers"] == {"landlock": LANDLOCK, "seccomp": 1}


@pytest.mark.parametrize(("layer", "left"), [("landlock", ["udp"]), ("seccomp", [])])
def test_each_layer_holds_without_the_other(port, layer, left):
    if layer == "landlock" and LANDLOCK < 4:
        pytest.skip("this kernel's Landlock does not know of TCP")
    arguments = [ALONE, sandbox.__file__, layer, str(port)]
    done = subprocess.run(
        [sys.executable, "-c", *arguments], capture_output=True, timeout=SECONDS, check=True
    )
    assert done.stdout.decode().split() == left


async def test_a_file_is_decoded_behind_the_lock(tmp_path):
    """With its file, its input and its output open, and nothing else."""
    sound = tmp_path / "a.wav"
    sound.write_bytes(wav_file(bytes(32_000 * 60)))
    process = await sandboxed.start(decode.__file__, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"path": str(sound)}).encode() + b"\n")
    assert json.loads(await process.stdout.readline()) == {"duration": 60.0}
    held = open_files(process.pid)
    assert status(process.pid, "Seccomp") == "2"
    assert status(process.pid, "NoNewPrivs") == "1"
    assert held == {str(sound), "/dev/null"}
    process.kill()
    while await process.stdout.read(65536):
        pass
    await process.wait()


async def test_a_recording_is_copied_behind_the_lock(tmp_path):
    source = tmp_path / "a.wav"
    size = 2 * 16_000 * 6 * 3600  # hours, so that it is at work for as long as this looks at it
    header = make_header(size)
    source.write_bytes(header)
    os.truncate(source, len(header) + size)
    target = tmp_path / f"a.ogg{encode.PART}"
    process = await sandboxed.start(encode.__file__, "0", str(source), str(target))
    await until(lambda: status(process.pid, "Seccomp") == "2", timeout=SECONDS)
    assert status(process.pid, "NoNewPrivs") == "1"
    process.kill()
    assert await process.wait() == -signal.SIGKILL, "it was not at work any more"


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_no_decoder_of_pictures_is_opened_while_a_film_is_looked_at(tmp_path, kind):
    """Most flaws of FFmpeg's lie in them; sound is all that is wanted."""
    path = tmp_path / "film"
    with av.open(str(path), "w", format=kind) as film:
        pictures = film.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound = film.add_stream("aac", rate=44100, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        film.mux(pictures.encode(picture))
        film.mux(pictures.encode(None))
        for _ in range(43):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            part.rate = 44100
            film.mux(sound.encode(part))
        film.mux(sound.encode(None))
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    try:
        with av.logging.Capture() as logs, path.open("rb", buffering=0) as file:
            samples = sum(len(pcm) for _, pcm in decode.decode(file)) // 2
    finally:
        av.logging.set_level(level)
    assert samples == pytest.approx(16_000, abs=1000)
    said = [text for _, source, text in logs if source == "mpeg4"]
    assert said
    assert all("not on whitelist" in text for text in said)
