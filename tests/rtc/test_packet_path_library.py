"""Loading the compiled packet path, and saying why that cannot be."""

import re
import shutil
import subprocess
import sys

import pytest

from bridge.rtc.packet_path_build import (
    FILES,
    HEADERS,
    HERE,
    LIBRARY,
    build,
    find_compiler,
    source_digest,
)
from bridge.rtc.packet_path_library import (
    NOT_BUILT,
    NOT_LINUX,
    STALE,
    TURNED_OFF,
    Library,
    Unavailable,
    load,
)


@pytest.fixture
def folder(tmp_path):
    """A folder of the test's own, with the source."""
    for name in FILES:
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What the compiler makes of the source."""
    made = tmp_path_factory.mktemp("compiled")
    build(made)
    return made / LIBRARY


@pytest.fixture
def built(folder, compiled):
    """A folder of the test's own, with the source and its library."""
    shutil.copy(compiled, folder)
    return folder


def reason(found):
    assert isinstance(found, Unavailable)
    return found.reason


@pytest.mark.compiler
def test_a_library_that_belongs_to_its_source_is_loaded(built):
    found = load(compiled=True, folder=built)
    assert isinstance(found, Library)
    assert found.path == built / LIBRARY
    assert found.ffi.string(found.lib.packet_path_source()) == source_digest(built).encode()


@pytest.mark.compiler
def test_the_library_has_everything_that_its_header_declares(built):
    found = load(compiled=True, folder=built)
    assert isinstance(found, Library)
    declared = re.findall(
        r"\b(packet_\w+)\(", "".join((built / name).read_text() for name in HEADERS)
    )
    assert [name for name in declared if not hasattr(found.lib, name)] == []
    assert {"packet_path_source", "packet_next"} <= set(declared)


def test_it_can_be_turned_off(folder):
    assert reason(load(compiled=False, folder=folder)) == TURNED_OFF


def test_other_systems_than_linux_have_none(folder, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert reason(load(compiled=True, folder=folder)) == NOT_LINUX


def test_what_was_not_built_is_said_to_be(folder):
    assert reason(load(compiled=True, folder=folder)) == NOT_BUILT


@pytest.mark.compiler
@pytest.mark.parametrize("name", FILES)
def test_a_library_of_another_source_is_not_used(built, name):
    with (built / name).open("a") as file:
        file.write("\n/* changed */\n")
    assert reason(load(compiled=True, folder=built)) == STALE


@pytest.mark.compiler
def test_a_library_of_something_else_is_not_used(folder):
    other = folder / "other.c"
    other.write_text("int other(void) { return 0; }\n")
    made = [*find_compiler(), "-shared", "-fPIC", "-o", folder / LIBRARY, other]
    subprocess.run(made, check=True)
    assert reason(load(compiled=True, folder=folder)) == STALE


def test_a_file_that_is_no_library_is_told_with_the_loaders_reason(folder):
    (folder / LIBRARY).write_bytes(b"no library")
    assert reason(load(compiled=True, folder=folder)).startswith("cannot be loaded: ")
