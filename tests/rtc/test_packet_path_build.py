"""Compiling the packet path: with a compiler, without one, and after the source has changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.rtc.packet_path_build import (
    FILES,
    FLAGS,
    HERE,
    LIBRARY,
    SOURCES,
    build,
    built_from,
    command,
    compiler_name,
    find_compiler,
    outcome,
    source_digest,
)

pytestmark = pytest.mark.full

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path):
    """A copy of the source, which a test may change."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in FILES:
        shutil.copy(HERE / name, folder)
    return folder


@pytest.fixture
def without_compiler(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def change(source):
    path = source / SOURCES[0]
    path.write_text(path.read_text() + "\n/* changed */\n")


@pytest.mark.compiler
def test_the_library_knows_the_source_that_it_was_built_from(tmp_path):
    assert build(tmp_path).startswith("compiled with ")
    assert built_from(tmp_path / LIBRARY) == source_digest()
    assert [path.name for path in tmp_path.iterdir()] == [LIBRARY]


@pytest.mark.compiler
def test_what_is_up_to_date_needs_no_compiler(tmp_path, monkeypatch):
    build(tmp_path)
    monkeypatch.setenv("CC", "/nowhere/cc")
    assert outcome(tmp_path) == "packet path: compiled, up to date"


@pytest.mark.compiler
def test_a_library_of_another_source_is_replaced_and_not_overwritten(tmp_path, source):
    build(tmp_path, source)
    before = (tmp_path / LIBRARY).stat().st_ino
    with (tmp_path / LIBRARY).open("rb"):  # in use, so that its inode is not given to another file
        change(source)
        assert build(tmp_path, source).startswith("compiled with ")
        assert (tmp_path / LIBRARY).stat().st_ino != before
    assert built_from(tmp_path / LIBRARY) == source_digest(source)


@pytest.mark.compiler
def test_a_source_that_does_not_compile_leaves_what_was_there(tmp_path, source):
    build(tmp_path, source)
    before = (tmp_path / LIBRARY).read_bytes()
    (source / SOURCES[0]).write_text("int wrong(void) { return undeclared; }\n")
    told = build(tmp_path, source)
    assert told.startswith("Python, as ")
    assert "undeclared" in told
    assert "\n" not in told
    assert (tmp_path / LIBRARY).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {LIBRARY, "source"}


@pytest.mark.compiler
def test_the_compiler_has_nothing_to_warn_of(tmp_path):
    strict = ["-Wall", "-Wextra", "-Werror"]
    told = subprocess.run(
        [*command(find_compiler(), HERE, tmp_path / LIBRARY), *strict],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stderr == ""
    assert told.returncode == 0


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_packets_take_the_python_path(tmp_path):
    told = outcome(tmp_path)
    assert told.startswith("packet path: Python, as there is no C compiler (apt-get install gcc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.compiler
def test_headers_that_are_missing_are_told_with_what_to_install(tmp_path, source):
    (source / SOURCES[0]).write_text("#include <nowhere.h>\n")
    told = build(tmp_path, source)
    assert "nowhere.h" in told
    assert told.endswith("(apt-get install gcc libc6-dev)")


def test_other_systems_than_linux_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert outcome(tmp_path) == "packet path: Python, as the compiled one is for Linux"


def test_a_compiler_that_was_named_is_the_only_one(monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc -m64")
    assert find_compiler() == []
    monkeypatch.setenv("CC", f"{sys.executable} -m64")
    assert find_compiler() == [sys.executable, "-m64"]


@pytest.mark.parametrize("program", ["false", "true"])
def test_a_compiler_that_makes_nothing_ends_nothing(tmp_path, monkeypatch, program):
    monkeypatch.setenv("CC", program)
    told = outcome(tmp_path)
    assert told.startswith("packet path: Python, as ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "true")
    told = outcome(tmp_path / "missing")
    assert told.startswith("packet path: Python, as the library could not be built: ")


def test_a_file_that_is_no_library_was_built_from_nothing(tmp_path):
    path = tmp_path / LIBRARY
    assert built_from(path) == ""
    path.write_bytes(b"no library")
    assert built_from(path) == ""


@pytest.mark.parametrize("name", FILES)
def test_the_digest_is_of_every_file(source, name):
    before = source_digest(source)
    assert before == source_digest()
    (source / name).write_text("")
    assert source_digest(source) != before


@pytest.mark.parametrize(
    ("program", "text", "name"),
    [
        (
            "cc",
            "cc (Debian 12.2.0-14+deb12u1) 12.2.0\n(C) 2022 Free Software Foundation",
            "gcc 12.2",
        ),
        ("gcc", "gcc (GCC) 14.1.1 20240522\nCopyright (C) Free Software", "gcc 14.1"),
        ("cc", "Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu", "clang 14.0"),
        ("tcc", "tcc version 0.9.27 (x86_64 Linux)", "tcc 0.9"),
        ("mycc", "", "mycc"),
    ],
)
def test_a_compiler_is_named_with_its_version(program, text, name):
    assert compiler_name(program, text) == name


def test_the_command_needs_no_package_and_never_fails(tmp_path):
    done = subprocess.run(
        [sys.executable, "-S", "-m", "bridge.rtc.packet_path_build", tmp_path],
        cwd=PROJECT,
        env={"CC": "/nowhere/cc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("packet path: Python, as ")
    assert done.returncode == 0


def test_results_do_not_depend_on_the_machine_that_compiles():
    assert not [flag for flag in FLAGS if flag.startswith(("-march", "-mtune", "-ffast-math"))]
