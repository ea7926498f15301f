"""Where servers run in the bench."""

import os
import subprocess
import sys

import pytest

from tests.bench.servers import set_apart


def test_a_server_without_a_media_thread_is_not_set_apart():
    # Else its thread would begin later, on the core of all others, and share it with the load generator.
    core = min(os.sched_getaffinity(0))
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(RuntimeError, match="no thread media"):
            set_apart(server.pid, core=core, beside=core)
    finally:
        server.communicate(b"\n")
