"""The tests of the packet path again, with its library under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
import sys

import pytest

from bridge.rtc.packet_path_build import FILES, HERE, LIBRARY, command, find_compiler
from tests.fuzz.run import SANITIZERS
from tests.support.packets.packet_path import FOLDER

TESTS = (
    "tests/media/test_stream_frames.py",
    # In parts, each of which takes a minute at most.
    "tests/rtp/test_offload_packet_path.py -k compiled --suite=quick",
    "tests/rtp/test_offload_packet_path.py -k thread",
    "tests/rtp/test_offload_protection.py",
    "tests/rtp/test_session_fuzz.py",
    "tests/rtc/test_packet_path.py",
    "tests/rtc/test_peer_end.py",
    "tests/rtc/test_peer_reoffer.py",
)
SANITIZED = (f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=undefined", "-g", "-O1")


@pytest.fixture
def folder(tmp_path):
    """A folder with the library, built with sanitizers."""
    for name in FILES:
        shutil.copy(HERE / name, tmp_path)
    made = [*command(find_compiler(), tmp_path, tmp_path / LIBRARY), *SANITIZED]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("the C compiler has no sanitizers")
    return tmp_path


def runtime():
    """Return the path of AddressSanitizer's library, which has to be loaded before Python."""
    name = "libclang_rt.asan-x86_64.so" if "clang" in find_compiler()[0] else "libasan.so"
    asked = [*find_compiler(), f"-print-file-name={name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.compiler
@pytest.mark.full
@pytest.mark.parametrize("tests", TESTS)
def test_no_sanitizer_objects(folder, tests):
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")
    }
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *tests.split(),
        ],
        env=environment
        | {
            FOLDER: str(folder),
            "LD_PRELOAD": runtime(),
            # Every structure that C gets is an allocation of its own, with guards around it.
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert " passed" in ran.stdout
