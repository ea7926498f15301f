"""The command that starts a node."""

import subprocess
from pathlib import Path

import pytest

import bridge
from bridge.supervisor.child import interpreter


@pytest.mark.full
def test_a_module_in_the_working_directory_is_not_imported(tmp_path, monkeypatch):
    package = Path(bridge.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(package))  # as if it was installed
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from the working directory')")
    monkeypatch.chdir(tmp_path)
    ran = subprocess.run([*interpreter(), "--version"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "webrtc" in ran.stdout or "bridge" in ran.stdout


def test_in_a_checkout_a_node_runs_its_code(monkeypatch, tmp_path):
    monkeypatch.chdir(Path(bridge.__file__).parents[1])
    assert "-P" not in interpreter()
    monkeypatch.chdir(tmp_path)
    assert "-P" in interpreter()
