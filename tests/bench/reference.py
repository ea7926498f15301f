"""How fast the machine is at the moment: one loop in C of socket, SRTP and libopus, and the time stolen from it.

The bench takes a sample before and after whatever it measures. What was measured while the loop strayed from its best
of the run tells of the machine and not of the server: its ratios are shown, its absolute figures are not.

Samples come from a process of its own, on the core of the server and with its priority. Without a C compiler there
are none, and everything is shown.
"""

import json
import math
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import cffi

from bridge.audio.codec.encoder_level import NORMAL
from bridge.audio.codec.opus import Decoder, Encoder, candidates, load
from bridge.audio.frame import FRAME_BYTES
from bridge.rtc import private_api
from bridge.rtc.packet_path_build import find_compiler
from bridge.rtc.srtp import PROFILES, Srtp
from tests.bench import servers
from tests.bench.reports.reading import Reading, Sample, reading

SOURCE = Path(__file__).with_name("reference.c")
SPEECH = Path(__file__).parents[1] / "support" / "sound" / "speech" / "female_us.wav"
CHUNKS, CHUNK = 9, 400
"""Of a sample: its median chunk is not the one in which somebody else had the core for a moment."""


Take: TypeAlias = Callable[[], Sample]


@contextmanager
def running(core: int | None) -> Iterator[Take]:
    """Start the process of the loop, on a core, and give what takes a sample."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.reference", *([] if core is None else [str(core)])],
        cwd=servers.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    servers.pin(process.pid, core)
    asked, told = process.stdin, process.stdout
    assert asked is not None
    assert told is not None

    def take() -> Sample:
        asked.write("\n")
        asked.flush()
        return Sample(*json.loads(told.readline()))

    try:
        yield take
    finally:
        asked.close()
        process.wait(timeout=10)
        told.close()


@contextmanager
def around(readings: dict[str, Reading], *names: str) -> Iterator[list[str]]:
    """Look at the server's core before and after something that is measured.

    What was seen is noted under the names, to which more may be added meanwhile.
    """
    noted = list(names)
    with running(servers.cores()[0]) as take:
        before = take()
        yield noted
        found = reading(before, take())
    readings |= dict.fromkeys(noted, found)


class Loop:
    """The loop, compiled and ready."""

    def __init__(self, compiler: Sequence[str]) -> None:
        self._ffi = cffi.FFI()
        text = SOURCE.read_text()
        begin, end = text.index("typedef struct"), text.index("} reference_libraries;")
        self._ffi.cdef(
            text[begin:end] + "} reference_libraries;"
            "int reference_carry(const reference_libraries *use, int out, int in, const int16_t *sound,"
            " int frames, int64_t first, int packets);"
        )
        with TemporaryDirectory() as folder:
            made = Path(folder) / "reference.so"
            command = [*compiler, "-std=gnu11", "-O2", "-fPIC", "-shared", "-o", str(made)]
            subprocess.run([*command, str(SOURCE)], check=True)
            self._lib: Any = self._ffi.dlopen(str(made))
        self._kept = self._libraries()
        self._sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        for one in self._sockets:
            one.bind(("127.0.0.1", 0))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 1, 0))
        self._sockets[0].connect(self._sockets[1].getsockname())
        self._sent = 0

    def carry(self, packets: int) -> tuple[float, float]:
        """Carry packets: (seconds, seconds of CPU time) for each.

        Raises:
            RuntimeError: one did not come.
        """
        use, sound, frames = self._kept[0], self._kept[1], len(self._kept[1]) // 320
        out, into = (one.fileno() for one in self._sockets)
        began, used = time.perf_counter(), time.process_time()
        whole = self._lib.reference_carry(use, out, into, sound, frames, self._sent, packets)
        used, took = time.process_time() - used, time.perf_counter() - began
        self._sent += packets
        if whole != packets:
            raise RuntimeError(f"{packets - whole} of {packets} packets of the reference were lost")
        return took / packets, used / packets

    def close(self) -> None:
        """Free the sockets."""
        for one in self._sockets:
            one.close()

    def _libraries(self) -> list[Any]:
        """Return the functions with their contexts, the sound, and what both need to live."""
        ffi, opus = self._ffi, load(candidates())
        key = bytes(range(30))
        profile = PROFILES["AES_CM_128_HMAC_SHA1_80"]
        srtp = Srtp(profile, send_key=key, receive_key=key)
        encoder, decoder = Encoder(opus, NORMAL), Decoder(opus)
        use = ffi.new("reference_libraries *")
        types = dict(ffi.typeof("reference_libraries").fields)
        addresses = {
            name: int(
                private_api.srtp_ffi.cast(
                    "uintptr_t", private_api.srtp_ffi.addressof(private_api.srtp_lib, name)
                )
            )
            for name in ("srtp_protect", "srtp_unprotect")
        }
        addresses |= {name: opus.address(name) for name in ("opus_decode", "opus_encode")}
        addresses |= {"send": srtp.send_handle, "receive": srtp.receive_handle}
        for name, address in addresses.items():
            setattr(use, name, ffi.cast(types[name].type, address))
        codecs: dict[str, Any] = {"encoder": encoder.handle, "decoder": decoder.handle}
        for name, handle in codecs.items():
            setattr(use, name, ffi.cast("void *", handle))
        speech = SPEECH.read_bytes()[44:]
        sound = ffi.from_buffer("int16_t[]", speech[: len(speech) // FRAME_BYTES * FRAME_BYTES])
        return [use, sound, speech, srtp, encoder, decoder]


def stolen(core: int | None) -> float:
    """Return the seconds that a core was given to others, on average of all without one."""
    name = "cpu" if core is None else f"cpu{core}"
    for line in Path("/proc/stat").read_text().splitlines():
        label, *fields = line.split()
        if label == name:
            return (
                float(fields[7])
                / os.sysconf("SC_CLK_TCK")
                / (os.cpu_count() or 1 if core is None else 1)
            )
    return 0.0


def sample(loop: Loop | None, core: int | None) -> Sample:
    """Look at the machine."""
    found = [loop.carry(CHUNK) for _ in range(CHUNKS)] if loop else [(math.nan, math.nan)]
    wall, cpu = (statistics.median(column) for column in zip(*found, strict=True))
    return Sample(time.monotonic(), wall, cpu, stolen(core))


def main() -> None:
    """Take a sample for each line of standard input."""
    core = int(sys.argv[1]) if len(sys.argv) > 1 else None
    compiler = find_compiler()
    loop = Loop(compiler) if compiler else None
    sample(loop, core)  # what is loaded once takes longer
    for _ in sys.stdin:
        print(json.dumps(sample(loop, core)), flush=True)


if __name__ == "__main__":
    main()
