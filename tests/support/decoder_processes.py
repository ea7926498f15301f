"""The processes that decode sound files for this one."""

from pathlib import Path


def decoders() -> set[int]:
    """Return the ids of those that were started and not yet seen the end of."""
    # Each thread has a list of its own of those that it has started.
    listed = " ".join(map(_children, Path("/proc/self/task").iterdir())).split()
    return {int(pid) for pid in listed if b"decode.py" in _command(pid)}


def _children(thread: Path) -> str:
    try:
        return (thread / "children").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return ""


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has ended since it was listed
        return b""
