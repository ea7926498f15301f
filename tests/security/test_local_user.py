"""Another user of the machine, against a bridge under a supervisor: its folders, its sockets, its processes."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.server import running

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("setpriv") or not Path("/usr/bin/python3").exists(),
        reason="only root can become another user, with setpriv and /usr/bin/python3",
    ),
]

ATTACKS = {
    "list the folder": "os.listdir(data)",
    "list the sockets": "os.listdir(data + '/nodes')",
    "connect to the control socket": "connect('control.sock')",
    "connect to a node's socket": "connect('0.sock')",
    "connect to a node's own socket": "connect('0-node.sock')",
    "replace the control socket": "os.rename('/dev/shm', data + '/nodes/control.sock')",
    "put a folder there": "os.mkdir(data + '/nodes2')",
    "read the database": "open(data + '/bridge.sqlite3', 'rb')",
    "read the machine's id": "open(data + '/machine.id')",
    "hold the lock": "open(data + '/nodes/lock', 'r+')",
    "read the environment": "open(f'/proc/{process}/environ').read()",
    "signal the supervisor": "os.kill(process, 15)",
    "read its memory": "open(f'/proc/{process}/mem', 'rb')",
    "open its pipes": "[open(f'/proc/{process}/fd/{n}') for n in os.listdir(f'/proc/{process}/fd')]",
}
PYTHON = "/usr/bin/python3"  # that of this environment may lie in a folder of root's
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", PYTHON, "-c"]
START = """
import os, socket, sys
data, process = sys.argv[1], int(sys.argv[2])
def connect(name):
    socket.socket(socket.AF_UNIX).connect(f"{data}/nodes/{name}")
"""


@pytest.fixture(scope="module")
def server():
    # Not pytest's folder, which nobody else enters.
    with TemporaryDirectory(prefix="bridge-") as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder), NODES="2") as made:
            yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_another_user_is_refused(server, attack):
    program = f"{START}\ntry:\n    {ATTACKS[attack]}\nexcept PermissionError:\n    sys.exit(9)\n"
    command = [*AS_NOBODY, program, str(server.folder / "data"), str(server.process.pid)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 9, ran.stderr or "it was done"


def test_the_folders_are_the_bridges_own(server):
    data = server.folder / "data"
    for folder in (data, data / "nodes"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for socket in (data / "nodes").glob("*.sock"):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600, socket
