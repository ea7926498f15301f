"""Look where the keys of live legs are, before and after their node was killed: in the memory of the node that uses them, and nowhere else."""

import asyncio
import base64
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.rtc.private_api import dtls_keying_material
from tests.bench.studies.recoveries.kills import Found as Killed
from tests.bench.studies.recoveries.kills import Plan, kill, talking
from tests.bench.studies.recoveries.processes import children, keep_log, serving_node
from tests.bench.studies.recoveries.table import Row, counted
from tests.support.peers.light_peer import LightPeer
from tests.support.server import Server

KEY_BYTES: Final = 16
KEYS: Final = 2
"""With which the material of a session begins (RFC 5764 §4.2): the client's and the server's, whatever the profile."""
LOOKED_FOR: Final = 3
"""Legs whose keys are looked for."""
OTHER_GROUP: Final = 65534
START_SECONDS: Final = 10.0
"""For a process to start on a busy machine."""
_MAPPING: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")
_BLOCK: Final = 1 << 24


@dataclass
class Found:
    """What was found; nothing of it may be."""

    files: list[str] = field(default_factory=list)
    """That have a key."""
    memory: list[str] = field(default_factory=list)
    """Mappings of the supervisor, or of a node that has no calls, with a key."""
    mapped: list[str] = field(default_factory=list)
    """Memory of nodes that the supervisor has mapped."""
    dumped: list[str] = field(default_factory=list)
    """Processes of which a core dump could be made, and ledgers that would be in one."""
    unfindable: list[str] = field(default_factory=list)
    """Nodes in whose memory no key was found, though they have them: then nothing above is proved."""
    lost: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, list[str]]:
        """Return what there must be none of."""
        return {name: one for name, one in vars(self).items() if one}

    def rows(self) -> list[Row]:
        """Return the lines of the table."""
        return [
            counted("keys in files below data.dir, the database, the log", [len(self.files)]),
            counted("keys in the memory of the supervisor, of spares", [len(self.memory)]),
            counted("memory of nodes that the supervisor has mapped", [len(self.mapped)]),
            counted("processes, ledgers that core dumps may have", [len(self.dumped)]),
        ]


def keys_of(peer: LightPeer) -> list[bytes]:
    """Return the SRTP keys of a connected browser, which are those of its leg."""
    material = dtls_keying_material(peer.dtls, KEYS * KEY_BYTES)
    return [material[at : at + KEY_BYTES] for at in range(0, KEYS * KEY_BYTES, KEY_BYTES)]


def forms_of(keys: Iterable[bytes]) -> list[bytes]:
    """Return keys as they are, in hexadecimal and in base 64."""
    return [
        form
        for key in keys
        for form in (key, key.hex().encode(), base64.b64encode(key).rstrip(b"="))
    ]


def files_with(keys: Iterable[bytes], folder: Path) -> list[str]:
    """Return the files below a folder that have a key, however it is written."""
    forms, files = forms_of(keys), (one for one in sorted(folder.rglob("*")) if one.is_file())
    return [str(one) for one in files if any(map(one.read_bytes().__contains__, forms))]


def mappings(pid: int) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and name of what a process has mapped and may read."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if (parsed := _MAPPING.match(line)) is not None and parsed[3].startswith("r"):
            yield int(parsed[1], 16), int(parsed[2], 16), parsed[4] or "anonymous"


def memory_with(keys: Iterable[bytes], pid: int) -> list[str]:
    """Return the mappings of a process that have a key as it is."""
    found, keys = [], list(keys)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end, name in mappings(pid):
            for at in range(begin, end, _BLOCK - KEY_BYTES * 4):
                try:
                    memory.seek(at)
                    data = memory.read(min(_BLOCK, end - at)) or b""
                except (OSError, ValueError, OverflowError):  # of the kernel's own, say
                    break
                if any(key in data for key in keys):
                    found.append(f"{pid} {name}")
                    break
    return found


def dumpable(pid: int) -> bool:
    """Whether the kernel may write a core dump of a process: if not, root owns what proc(5) tells of it."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = tuple(
        int(re.findall(rf"^{name}:\s+\d+\s+(\d+)", status, re.MULTILINE)[0])
        for name in ("Uid", "Gid")
    )
    if own == (0, 0):
        raise PermissionError("as root of root's group nobody can tell")
    told = Path(f"/proc/{pid}/maps").stat()
    return (told.st_uid, told.st_gid) != (0, 0)


def stays_dumpable(pid: int) -> bool:
    """Whether a process is `dumpable` even when it has had time to start: it forbids that before it takes calls."""
    until = time.monotonic() + START_SECONDS
    while dumpable(pid):
        if time.monotonic() > until:
            return True
        time.sleep(0.05)
    return False


def dumped_ledgers(pid: int) -> list[str]:
    """Return the mappings of a node's ledger that a core dump would have."""
    found, name = [], ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if (parsed := _MAPPING.match(line)) is not None:
            name = parsed[4]
        elif line.startswith("VmFlags:") and "memfd:" in name and "dd" not in line.split():
            found.append(f"{pid} {name}")
    return found


@contextmanager
def other_group() -> Iterator[None]:
    """Start processes in another group than root's, so that `dumpable` can tell."""
    before = os.getresgid()
    if os.getuid() == 0:
        os.setresgid(OTHER_GROUP, OTHER_GROUP, OTHER_GROUP)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.setresgid(*before)


def look(server: Server, keys: list[bytes], found: Found) -> None:
    """Look everywhere."""
    supervisor, node = server.process.pid, serving_node(server)
    found.files += files_with(keys, server.folder)
    for pid in [supervisor, *children(supervisor)]:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            if stays_dumpable(pid):
                found.dumped.append(str(pid))
            if pid != node:
                found.memory += memory_with(keys, pid)
    found.mapped += [name for _, _, name in mappings(supervisor) if "memfd:" in name]
    found.dumped += dumped_ledgers(node)
    if not memory_with(keys, node):
        found.unfindable.append(str(node))


async def study(*, legs: int, kills: int) -> Found:
    """Start a bridge with calls, and look before and after its node is killed."""
    found, killed = Found(), Killed()
    plan = Plan(name="audit", legs=legs, kills=kills)
    with other_group():
        async with talking(legs) as parties:
            keys = [key for party in parties.live[:LOOKED_FOR] for key in keys_of(party.peer)]
            try:
                # In a thread: the parties go on talking.
                await asyncio.to_thread(look, parties.server, keys, found)
                for _ in range(kills):
                    await kill(parties, killed, plan)
                    await asyncio.to_thread(look, parties.server, keys, found)
                found.lost = killed.lost
                await parties.hang_up()
            finally:
                keep_log(parties.server, "audit")
    return found
