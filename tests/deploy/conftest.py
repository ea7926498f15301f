"""The wheel of this checkout, built once for all tests."""

import os
import subprocess
import sys

import pytest

from tests.support.server import PROJECT


@pytest.fixture(scope="session")
def build_wheel(tmp_path_factory):
    """A function that builds the wheel of a folder, with more variables in the environment, and returns its file."""

    def build(project=PROJECT, **environment):
        folder = tmp_path_factory.mktemp("built")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        offline = ["--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run(
            [*pip, "wheel", *offline, "-w", folder, project],
            check=True,
            capture_output=True,
            timeout=120,
            env=os.environ | environment,
        )
        [built] = folder.glob("*.whl")
        return built

    return build


@pytest.fixture(scope="session")
def wheel(build_wheel):
    """The wheel's file."""
    return build_wheel()
