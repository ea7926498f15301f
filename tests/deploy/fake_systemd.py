"""What deploy/install-systemd calls, without systemd and without root: programs for a folder at the front of PATH.

`systemctl` runs the commands of the unit with its environment, and notes how it was called; users are
only noted.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEMCTL = """#!{python}
import os, re, shlex, signal, subprocess, sys, time
from pathlib import Path

unit, notes, pid_file = Path("{unit}"), Path("{notes}"), Path("{folder}/pid")


def lines(name):
    return re.findall(rf"^{{name}}=(.*)$", unit.read_text(), re.MULTILINE)


def run(name, start):
    environment = os.environ | dict(line.split("=", 1) for line in lines("Environment"))
    del environment["PYTHONDONTWRITEBYTECODE"]
    [folder] = lines("WorkingDirectory")
    Path(folder).mkdir(parents=True, exist_ok=True)
    log = Path("{folder}/log.txt").open("ab")
    return start(shlex.split(lines(name)[0]), env=environment, cwd=folder, stdout=log, stderr=log)


def lives():
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return "Z" not in Path(f"/proc/{{pid_file.read_text()}}/stat").read_text().split()[2]


def end(number):
    if lives():
        os.kill(int(pid_file.read_text()), number)
    for _ in range(200):
        if not lives():
            return
        time.sleep(0.1)
    sys.exit("it does not end")


verb, *rest = sys.argv[1:]
with notes.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
match verb:
    case "start":
        pid_file.write_text(str(run("ExecStart", subprocess.Popen).pid))
    case "reload":
        sys.exit(run("ExecReload", subprocess.run).returncode)
    case "is-active":
        sys.exit(0 if lives() else 3)
    case "stop":
        end(signal.SIGTERM)
    case "kill":
        end(signal.SIGINT)
"""
NOTING = """#!/bin/sh
echo {name} "$@" >>{notes}
{then}
"""


@dataclass(frozen=True)
class Machine:
    """A folder that stands for `/`, and the programs of a system administrator."""

    folder: Path

    def __post_init__(self):
        (self.folder / "bin").mkdir()
        unit = self.root / "etc/systemd/system/bridge.service"
        systemctl = SYSTEMCTL.format(
            python=sys.executable, unit=unit, notes=self.notes, folder=self.folder
        )
        self.add("systemctl", systemctl)
        self.note("getent", "exit 2")
        for name in ("useradd", "userdel", "chown"):
            self.note(name)
        self.add("id", "#!/bin/sh\necho 0\n")

    @property
    def root(self):
        """What is below `--prefix`."""
        return self.folder / "root"

    @property
    def notes(self):
        """One line for each program that was called."""
        return self.folder / "notes.txt"

    def add(self, name, text):
        """Put a program in front of the machine's own."""
        program = self.folder / "bin" / name
        program.write_text(text)
        program.chmod(0o755)

    def note(self, name, then="exit 0"):
        """Put a program there that only notes how it was called."""
        self.add(name, NOTING.format(name=name, notes=self.notes, then=then))

    def run(self, program, *arguments, **environment):
        """Run a program of the project as the administrator does; its output is text."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", program, *map(str, arguments)],
            env=os.environ | {"PATH": path} | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
