"""The bridge with mistakes in it that certain packets and requests bring out: each ends or blocks the process.

As a program, it takes what `python -m bridge` takes, and its supervisor starts it again for each node.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bridge import __main__
from bridge.call import events
from bridge.node.runner import CallRunner
from bridge.rtc import packet_path
from bridge.rtc.demux import MediaSocket
from bridge.rtc.transport_offload import Compiled
from bridge.supervisor import child

PROGRAM = ("-m", "tests.support.poisoned_bridge")
POISON = b"POISON"
"""At the end of a packet that is to be decrypted, on whichever thread that is."""
PLAIN = b"\x7f" + POISON
"""A datagram that Python takes."""


def crash() -> None:
    """Say which thread it is, and die as by a wild pointer."""
    name = Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text()
    sys.stderr.write(f"poison reached {name}")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def poison_datagrams() -> None:
    """Crash when Python takes a datagram that is poison."""
    receive = MediaSocket.datagram_received

    def received(self: MediaSocket, data: bytes | str, addr: tuple[str, int]) -> None:
        if data == PLAIN:
            crash()
        receive(self, data, addr)

    MediaSocket.datagram_received = received  # type: ignore[method-assign]


def poison_packets() -> None:
    """Crash when libsrtp is to decrypt a packet that is poison."""
    kept = []

    def compiled(ffi: Any, lib: Any, libraries: Any, *records: Any) -> Compiled:
        unprotect = libraries.srtp_unprotect

        def poisoned(session: Any, packet: Any, size: Any) -> int:
            length = ffi.cast("int *", size)[0]
            if bytes(ffi.buffer(packet, length)).endswith(POISON):
                crash()
            return int(unprotect(session, packet, size))

        libraries.srtp_unprotect = callback = ffi.callback("int(void *, void *, int *)", poisoned)
        kept.append(callback)  # the field does not own it
        return Compiled(ffi, lib, libraries, *records)

    vars(packet_path)["Compiled"] = compiled


def poison_requests() -> None:
    """Block the event loop when a call is muted, and crash when it is unmuted."""
    dispatch = CallRunner.dispatch

    def dispatched(self: CallRunner, event: events.Event) -> None:
        if isinstance(event, events.MuteRequested):
            if not event.muted:
                crash()
            time.sleep(3600)
        dispatch(self, event)

    CallRunner.dispatch = dispatched  # type: ignore[method-assign]


if __name__ == "__main__":
    child.interpreter = lambda: [sys.executable, *PROGRAM]
    poison_datagrams()
    poison_packets()
    poison_requests()
    sys.exit(__main__.main())
