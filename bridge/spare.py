"""A process that waits to become a node: all is loaded and has been done once, so that calls of a dead node go on in it at once."""

import ctypes
import gc
import logging
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bridge import log as logs
from bridge.cluster.host import hide_memory
from bridge.cluster.supervision import read_order
from bridge.errors import SettingsError, SetupError
from bridge.settings.model import Settings
from bridge.stores.directory import FOLDER
from bridge.wire import supervision
from bridge.wire.supervision import Prepare, Prepared, Slot

log = logging.getLogger(__name__)

NICE: Final = 10
"""Added to the niceness while it gets ready: calls of the nodes come first."""
REHEARSAL: Final = "rehearsal"
"""Folder for what is written meanwhile."""


def wait(order: Prepare) -> Slot:
    """Get ready, say so, and return the slot once the supervisor sends it.

    Raises:
        SetupError: the supervisor is gone, or sends something else.
        SettingsError: it is of another version.
    """
    hide_memory()
    try:
        settings = msgspec.json.decode(order.settings, type=Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the supervisor's settings are of another version: {error}") from error
    logs.setup("critical", settings.log.format)
    # A thread can be made nicer for good without the right to undo it: the one that becomes the node is not.
    thread = threading.Thread(target=_get_ready, args=(settings,), name="get ready")
    thread.start()
    thread.join()
    os.write(order.pipe, supervision.serialize(Prepared(memory=_memory())))
    slot = read_order()
    if not isinstance(slot, Slot):
        raise SetupError("a spare is asked to be one again")
    if slot.passed:
        from bridge.cluster.succession import receive_inherited

        received = receive_inherited(slot.keep, slot.inherited)
        slot = msgspec.structs.replace(slot, inherited=received)
    return slot


def _get_ready(settings: Settings) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    # Most of the work, so it is done in this thread.
    import uvloop

    from bridge import serve as serve
    from bridge.app.rehearsal import rehearse

    folder = Path(settings.data.dir) / FOLDER / REHEARSAL
    try:
        shutil.rmtree(folder, ignore_errors=True)
        uvloop.run(rehearse(settings, folder))
    except Exception:  # it can take a slot all the same
        log.critical("spare.rehearsal_failed", exc_info=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # where the system has no such thing
        ctypes.CDLL(None).malloc_trim(0)


def _memory() -> int:
    """Return how many bytes this process alone has in memory; 0 where the system does not tell."""
    try:
        rows = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(row.split()[1]) for row in rows if row.startswith("Private_"))
