"""Hand packets over between the packet path's thread and Python under ThreadSanitizer.

    python -m tests.fuzz.races [--packets 100000] [--seed 7] [--tick 0]

races.c says what happens meanwhile. Ends with 0 if each packet has come once and in order, and no race was found.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.rtc.packet_path_build import COMPILER_PACKAGES, find_compiler
from tests.fuzz.run import HERE, compile_target

TARGET = HERE / "races.c"
PACKETS = 100_000
SEED = 7
RACES = 66
"""The exit code of a program in which ThreadSanitizer has found some."""
SECONDS = 600.0


def main(arguments: Sequence[str]) -> int:
    """Build the program and run it; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.races")
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--seed", type=int, default=SEED, help="of what Python does, at random")
    parser.add_argument("--tick", type=int, default=0, help="microseconds that packets gather")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        program = build(Path(folder))
        if program is None:
            sys.stdout.write(
                f"races: there is no C compiler with ThreadSanitizer ({COMPILER_PACKAGES})\n"
            )
            return 1
        return pass_packets(
            program, options.packets, seed=options.seed, tick=options.tick
        ).returncode


def build(folder: Path, *more: str) -> Path | None:
    """Compile the program into a folder; None without a compiler that has ThreadSanitizer."""
    program = folder / "races"
    compiler = find_compiler()
    made = compiler and compile_target(
        TARGET, compiler, program, "-fsanitize=thread", "-pthread", *more
    )
    return program if made else None


def pass_packets(
    program: Path, packets: int, *, seed: int = SEED, tick: int = 0, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the program, which says on one line what has happened and on another what went wrong.

    Raises:
        subprocess.TimeoutExpired: It has not ended after `SECONDS`.
    """
    return subprocess.run(
        [str(program), str(packets), str(seed), str(tick)],
        env={**os.environ, "TSAN_OPTIONS": f"exitcode={RACES}:halt_on_error=1"},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
        check=False,
        timeout=SECONDS,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
