"""Compiles the packet path beside its source: `python -m bridge.rtc.packet_path_build [FOLDER]`.

The result is a plain shared library: it needs a C compiler, and neither Python's headers nor a build for each
version of Python. This module uses the standard library alone, because it runs before anything is installed.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

HERE: Final = Path(__file__).parent
SOURCES: Final = (
    "packet_path.c", "packet_ring.c", "packet_offload.c", "packet_stream.c", "g711.c", "stream_frames.c",
)  # fmt: skip
HEADERS: Final = ("packet_path.h", "stream_frames.h")
"""What Python may call: declarations only, which cffi reads."""
FILES: Final = (*SOURCES, *HEADERS, "packet_ring.h", "packet_stream.h")
LIBRARY: Final = "libpacket_path.so"
COMPILERS: Final = ("cc", "gcc", "clang")
COMPILER_PACKAGES: Final = "apt-get install gcc libc6-dev"
_DIGEST: Final = re.compile(rb"\0([0-9a-f]{64})\0")
COMPILE_SECONDS: Final = 120.0
FLAGS: Final = (
    "-std=c11",
    "-O3",
    "-ffp-contract=off",  # levels are the same as in Python, to the last bit
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2",
)


def main(arguments: Sequence[str]) -> int:
    """Build into a folder, print the outcome, and return 0 whatever it is: the bridge runs without the library."""
    sys.stdout.write(f"{outcome(*map(Path, arguments[:1]))}\n")
    return 0


def outcome(into: Path = HERE) -> str:
    """Build into a folder and return one line that says which path packets take, and why."""
    try:
        result = build(into)
    except (OSError, subprocess.SubprocessError) as error:
        result = f"Python, as the library could not be built: {error}"
    return f"packet path: {result}"


def build(into: Path, source: Path = HERE) -> str:
    """Compile the library into a folder, unless the one there is up to date, and return the outcome in words.

    A library that is in use is not overwritten but replaced.

    Raises:
        OSError: a folder cannot be read or written.
        subprocess.SubprocessError: the compiler hangs.
    """
    if sys.platform != "linux":
        return "Python, as the compiled one is for Linux"
    digest = source_digest(source)
    if built_from(into / LIBRARY) == digest:
        return "compiled, up to date"
    compiler = find_compiler()
    if not compiler:
        return f"Python, as there is no C compiler ({COMPILER_PACKAGES}, or set CC)"
    name = compiler_name(compiler[0], _run([*compiler, "--version"]).stdout)
    with TemporaryDirectory(dir=into, prefix=".packet_path-") as folder:
        made = Path(folder) / LIBRARY
        done = _run(command(compiler, source, made))
        if done.returncode:
            return f"Python, as {name} failed: {_first_error(done.stderr)}"
        if built_from(made) != digest:
            return f"Python, as what {name} made cannot be loaded"
        made.replace(into / LIBRARY)
    return f"compiled with {name}"


def source_digest(folder: Path = HERE) -> str:
    """Return the SHA-256 of all files and the flags, in hexadecimal.

    Raises:
        OSError: they cannot be read.
    """
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / name).read_bytes())
    digest.update(" ".join(FLAGS).encode())
    return digest.hexdigest()


def built_from(library: Path) -> str:
    """Return the digest of the source that a library was built from, by what it contains; empty without one."""
    try:
        found = _DIGEST.search(library.read_bytes())
    except OSError:
        return ""
    return "" if found is None else found[1].decode()


def command(compiler: Sequence[str], source: Path, library: Path) -> list[str]:
    """Return the command that compiles the library."""
    digest = f'-DPACKET_PATH_SOURCE="{source_digest(source)}"'
    return [
        *compiler,
        *FLAGS,
        digest,
        "-o",
        str(library),
        *(str(source / name) for name in SOURCES),
        "-lm",
    ]


def find_compiler() -> list[str]:
    """Return the command of a C compiler that can be run, `$CC` if that is set; empty without one."""
    chosen = os.environ.get("CC")
    candidates = [shlex.split(chosen)] if chosen else [[name] for name in COMPILERS]
    return next((one for one in candidates if one and shutil.which(one[0])), [])


def compiler_name(program: str, text: str) -> str:
    """Return a compiler's name and version, such as `gcc 12.2`; `text` is the output of `--version`."""
    first = text.partition("\n")[0]
    name = "clang" if "clang" in first else "gcc" if "Free Software" in text else program
    version = re.search(r"\d+\.\d+", first)
    return f"{name} {version[0]}" if version else name


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (the user's own compiler)
        arguments,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMPILE_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()] or ["no reason given"]
    first = next((line for line in lines if "error" in line), lines[0])
    return f"{first} ({COMPILER_PACKAGES})" if "No such file" in first else first


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
