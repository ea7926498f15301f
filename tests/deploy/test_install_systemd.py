"""The installer for systemd, on a machine that has none: `systemctl` is a double that runs the unit's commands."""

import json
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.deploy.fake_systemd import Machine
from tests.support.machine import free_port
from tests.support.server import PROJECT, free_media_ports

pytestmark = pytest.mark.full

DEPLOY = PROJECT / "deploy"
INSTALLER = DEPLOY / "install-systemd"
UNIT = DEPLOY / "systemd" / "bridge.service"


@pytest.fixture
def machine():
    """In a folder with a short name: the path of a socket must be short."""
    with TemporaryDirectory(prefix="b-") as folder:
        yield Machine(Path(folder))


def installed(machine, *arguments):
    """Run the installer; the bridge's packages come from this environment, not from the network."""
    return machine.run(
        INSTALLER,
        "--prefix",
        machine.root,
        *arguments,
        PIP_NO_DEPS="1",
        PIP_NO_INDEX="1",
        PYTHONPATH=sysconfig.get_path("purelib"),
        PYTHONDONTWRITEBYTECODE="1",
        BRIDGE_RTC__PORTS=free_media_ports(),
        BRIDGE_RTC__STUN_URLS="[]",
    )


def pretend_installation(machine):
    """Its Python is this one, so that nothing has to be installed, and finds every bridge ready."""
    code = machine.root / "opt/bridge/bin"
    code.mkdir(parents=True)
    here = f'PYTHONPATH={PROJECT}:$PYTHONPATH exec {sys.executable} "$@"'
    nothing = f'*"-m pip"* | */readyz) ;; *bridge.service*) echo {UNIT} ;;'
    for name in ("python", "media-bridge"):
        (code / name).write_text(f'#!/bin/sh\ncase "$*" in {nothing} *) {here} ;; esac\n')
        (code / name).chmod(0o755)


def asked(url, key):
    request = urllib.request.Request(f"{url}/call/status", headers={"token": key})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_one_command_installs_a_bridge_that_runs_and_the_next_one_upgrades_it(machine, wheel):
    port = free_port()
    done = installed(machine, "--python", sys.executable, "--port", port, wheel)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        url = f"http://127.0.0.1:{port}"
        settings = machine.root / "etc/bridge/bridge.toml"
        assert done.stdout.splitlines()[0] == f"The bridge runs at {url}"
        assert str(settings) in done.stdout
        assert settings.stat().st_mode & 0o777 == 0o640
        [key] = tomllib.loads(settings.read_text())["lines"]["main"]["keys"]
        assert key not in done.stdout
        assert asked(url, key)["success"]

        again = installed(machine, "--python", sys.executable, wheel)
        assert again.returncode == 0, again.stdout + again.stderr
        assert asked(url, key)["success"], "the settings were kept"
        calls = machine.notes.read_text().splitlines()
        assert [calls.count(f"{verb} bridge.service") for verb in ("start", "reload")] == [1, 1]
        unit = machine.root / "etc/systemd/system/bridge.service"
        assert unit.read_text().replace(str(machine.root), "") == UNIT.read_text()
    finally:
        removed = installed(machine, "--uninstall", "--now")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    with pytest.raises(OSError, match="refused"):
        asked(url, key)
    assert settings.exists()
    assert not unit.exists()
    assert not (machine.root / "opt/bridge").exists()


def test_purging_removes_settings_data_and_user(machine):
    for folder in ("etc/bridge", "var/lib/bridge"):
        (machine.root / folder).mkdir(parents=True)
    machine.note("getent")
    assert installed(machine, "--uninstall", "--purge").returncode == 0
    assert not (machine.root / "etc/bridge").exists()
    assert not (machine.root / "var/lib/bridge").exists()
    assert "userdel bridge" in machine.notes.read_text().splitlines()


def test_removing_twice_is_no_error(machine):
    assert [installed(machine, "--uninstall").returncode for _ in range(2)] == [0, 0]


def test_a_folder_that_it_did_not_make_is_left_alone(machine):
    kept = machine.root / "opt/bridge/photographs"
    kept.mkdir(parents=True)
    assert installed(machine, "--uninstall", "--purge").returncode == 0
    assert kept.exists()


@pytest.mark.parametrize(
    ("program", "text", "reason"),
    [
        ("id", "echo 1000", "run it as root"),
        ("systemctl", "exit 1", "systemd does not run here"),
        ("python3", "exit 1", "apt-get install python3-venv"),
    ],
)
def test_what_the_machine_lacks_is_said_before_anything_is_made(machine, program, text, reason):
    machine.add(program, f"#!/bin/sh\n{text}\n")
    done = installed(machine, "some.whl")
    assert done.returncode == 1
    assert reason in done.stderr
    assert not machine.root.exists()


def test_a_python_in_a_home_directory_is_refused_since_the_unit_hides_it(machine):
    machine.add("python3", "#!/bin/sh\necho /home/someone/bin/python3.11\n")
    done = machine.run(INSTALLER, "some.whl")
    assert done.returncode == 1
    assert "--python" in done.stderr
    assert "ProtectHome=yes" in UNIT.read_text().splitlines()
    assert not any(line.startswith("useradd") for line in machine.notes.read_text().splitlines())


def test_settings_that_are_wrong_stop_it_before_the_unit_is_touched(machine):
    pretend_installation(machine)
    etc = machine.root / "etc/bridge"
    etc.mkdir(parents=True)
    (etc / "bridge.toml").write_text("[http]\nprot = 8080\n")
    done = installed(machine, "--python", sys.executable, "bridge.whl")
    assert done.returncode == 1
    assert f"{etc / 'bridge.toml'}: " in done.stderr
    assert "prot" in done.stderr
    assert not (machine.root / "etc/systemd").exists()


@pytest.mark.parametrize(
    ("host", "shown"),
    [("::", "[::1]"), ("::1", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("192.0.2.7", "192.0.2.7")],
)
def test_the_url_that_is_printed_can_be_opened(machine, host, shown):
    pretend_installation(machine)
    machine.add("systemctl", "#!/bin/sh\n")
    done = installed(machine, "--python", sys.executable, "--host", host, "bridge.whl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"The bridge runs at http://{shown}:8080"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--port"],
        ["--port", "https", "a.whl"],
        ["--port", "", "a.whl"],
        ["--host", 'a"b', "a.whl"],
        ["--colour"],
        ["a.whl", "b.whl"],
    ],
)
def test_a_command_that_is_not_understood_does_nothing(machine, arguments):
    done = installed(machine, *arguments)
    assert done.returncode in {1, 2}
    assert "install-systemd" in done.stderr
    assert not machine.root.exists()


@pytest.mark.shellcheck
def test_shellcheck_finds_no_fault():
    done = subprocess.run(["shellcheck", INSTALLER], capture_output=True, text=True, check=False)
    assert done.stdout == ""
