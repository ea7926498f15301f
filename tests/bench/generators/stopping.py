"""The bridge of the current folder, whose event loop stops for `SECONDS` at every SIGUSR1.

Takes the arguments and the environment of `python -m bridge`. The signal's handler runs in the main thread,
between two steps of the event loop or within one, and computes: no other callback runs meanwhile, and the core is in use, as
while one long callback runs. Start it by `python -P`: a module beside it has the name of one that is imported.
"""

import os
import runpy
import signal
import sys
import time
from typing import Any

SECONDS = 0.2
"""Of each stop."""


def stop(_signal: int, _frame: Any) -> None:
    """Let nothing else run in this thread for a while."""
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        pass


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())  # this file may be in another checkout
    signal.signal(signal.SIGUSR1, stop)
    runpy.run_module("bridge", run_name="__main__")
