"""The processes of a bridge that runs here, as the kernel tells of them; as root, since they hide from their user."""

from pathlib import Path
from typing import Final

from tests.support.server import Server

LOGS: Final = Path("build/recoveries")


def children(pid: int) -> list[int]:
    """Return the processes that one has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(one) for one in text.split()]


def serving_node(server: Server) -> int:
    """Return the node that has the calls: of the supervisor's processes the one with most descriptors."""
    found = {pid: descriptors(pid) for pid in children(server.process.pid)}
    if not found:
        raise ProcessLookupError("the supervisor has no node")
    return max(found, key=found.__getitem__)


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open; 0 once it has ended.

    Raises:
        PermissionError: it is another user's, or hides, and we are not root.
    """
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def cpu_seconds(pid: int) -> float:
    """Return what a process has used of the processors, all its threads together (proc(5))."""
    ran = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        ran += int((task / "schedstat").read_text("ascii").split()[0])
    return ran / 1e9


def keep_log(server: Server, name: str) -> None:
    """Keep what a bridge has logged, in `build/recoveries`."""
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"{name.replace(' ', '-')}.log").write_text(server.log())
