"""What `make run` gets ready, in a checkout that has the packages of a start and nothing more."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.support.server import PROJECT, running_command

STARTS = ("run", "run-lan", "demo", "example-pipecat", "example-twilio", "example-openai")


def make(*arguments, folder=PROJECT):
    """Run make, which takes the packages for installed."""
    stamps = [f"--old-file=.venv/.{name}" for name in ("run", "demo", "examples")]
    command = ["make", "--no-print-directory", *stamps, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", STARTS)
def test_a_start_gets_the_packet_path_and_the_guide_ready(target):
    assert " ready\n" in make("--dry-run", target)


def test_nodes_find_the_byte_code_of_every_module():
    assert "compileall -q bridge\n" in make("--dry-run", "ready")


def test_the_guide_is_written_with_the_packages_of_a_start():
    code = (PROJECT / ".ci" / "guide.py").read_text()
    others = (
        set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) - sys.stdlib_module_names
    )
    lock = (PROJECT / "locks/guide.lock").read_text().splitlines()
    assert others == {line.partition("==")[0] for line in lock if "==" in line}


@pytest.mark.full
def test_a_checkout_that_was_started_serves_the_guide(tmp_path):
    checkout = tmp_path / "checkout"
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, names):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, checkout / name)
    (checkout / ".venv").symlink_to(sys.prefix)
    make("ready", folder=checkout)
    start = [str(checkout / ".venv" / "bin" / "python"), "-m", "bridge"]
    with running_command(start, checkout, tmp_path / "run", {}) as server:
        assert "<h1" in server.text("/docs/guide/")
        assert "curl" in server.text("/docs/guide/tutorial.html")
