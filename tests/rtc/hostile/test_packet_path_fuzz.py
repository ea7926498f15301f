"""Hostile bytes for the compiled packet path: a short run of `make fuzz`, and compilers' warnings."""

import shutil
import subprocess

import pytest

from bridge.rtc.packet_path_build import HERE, SOURCES
from tests.fuzz.run import CORPUS, build, fuzz

pytestmark = pytest.mark.full

DATAGRAMS = 100_000
WARNINGS = (
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
    "-fPIC",
    "-c",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The fuzz target with sanitizers, drawing inputs at random from the same seed each time."""
    built = build(tmp_path_factory.mktemp("fuzz"), libfuzzer=False)
    if built is None:
        pytest.skip("the C compiler has no sanitizers")
    return built[0]


@pytest.mark.compiler
def test_the_corpus_and_random_datagrams_do_no_harm(program):
    ran = fuzz(program, DATAGRAMS, found=None, quiet=True)
    assert ran.returncode == 0, ran.stdout
    assert len(list(CORPUS.iterdir())) > 50


@pytest.mark.compiler
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_without_a_warning(compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed (apt-get install {compiler})")
    command = [compiler, *WARNINGS, *(HERE / name for name in SOURCES)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
