"""Fuzz the compiled packet path under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m tests.fuzz.run [--datagrams 10000000] [--corpus FOLDER]

clang's libFuzzer looks for inputs that reach new code and adds them to the folder; without clang, a driver of
the target's own draws them at random. Whichever it is begins with the corpus in the repository.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bridge.rtc.packet_path_build import COMPILER_PACKAGES, find_compiler

HERE = Path(__file__).parent
TARGET = HERE / "packet_path.c"
CORPUS = HERE / "corpus"
DATAGRAMS = 10_000_000
MAX_INPUT = 800
FLAGS = ("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer")
SANITIZERS = "address,undefined"
EMPTY_PROGRAM = "int main(void) { return 0; }\n"
EMPTY_FUZZER = "int LLVMFuzzerTestOneInput(void) { return 0; }\n"
LIBFUZZER_PACKAGES = "apt-get install clang libclang-rt-dev"


def main(arguments: Sequence[str]) -> int:
    """Build the target and run it; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--datagrams", type=int, default=DATAGRAMS)
    parser.add_argument("--corpus", type=Path, help="a folder for inputs that reach new code")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = build(folder)
        if built is None:
            sys.stdout.write(
                f"fuzz: there is no C compiler with sanitizers ({COMPILER_PACKAGES})\n"
            )
            return 1
        program, libfuzzer = built
        how = "libFuzzer" if libfuzzer else f"random inputs ({LIBFUZZER_PACKAGES} for libFuzzer)"
        sys.stdout.write(f"fuzz: {options.datagrams} datagrams by {how}\n")
        sys.stdout.flush()
        found = options.corpus or folder / "found"
        found.mkdir(exist_ok=True)
        return fuzz(program, options.datagrams, found=found if libfuzzer else None).returncode


def build(folder: Path, *, libfuzzer: bool = True) -> tuple[Path, bool] | None:
    """Compile the target into a folder, with libFuzzer if that is wanted and there.

    Returns:
        The program, and whether it is libFuzzer's; None without a compiler that has the sanitizers.
    """
    program = folder / "fuzz"
    libfuzzers = "-DLIBFUZZER", f"-fsanitize={SANITIZERS},fuzzer"
    if libfuzzer and compile_target(TARGET, ["clang"], program, *libfuzzers):
        return program, True
    compiler = find_compiler()
    if compiler and compile_target(TARGET, compiler, program, f"-fsanitize={SANITIZERS}"):
        return program, False
    return None


def fuzz(
    program: Path, datagrams: int, *, found: Path | None, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a target on the corpus and then on new inputs; `found` is a folder for those of libFuzzer."""
    told = (
        []
        if found is None
        else [str(found), str(CORPUS), f"-max_len={MAX_INPUT}", f"-artifact_prefix={found}/"]
    )
    inputs = told or [str(path) for path in sorted(CORPUS.iterdir())]
    return subprocess.run(
        [str(program), *inputs],
        env={**os.environ, "FUZZ_DATAGRAMS": str(datagrams), "UBSAN_OPTIONS": "print_stacktrace=1"},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
        check=False,
    )


def compile_target(target: Path, compiler: Sequence[str], program: Path, *more: str) -> bool:
    """Compile a target; False for a compiler that cannot even compile an empty program so.

    Raises:
        ValueError: the target has an error, which it says.
    """
    options = [*FLAGS, *more, "-fno-sanitize-recover=all", "-o", str(program)]
    try:
        made = _run([*compiler, *options, str(target), "-lm"])
        if made.returncode == 0:
            return True
        entry = EMPTY_FUZZER if "-DLIBFUZZER" in more else EMPTY_PROGRAM
        if _run([*compiler, *options, "-x", "c", "-"], entry).returncode == 0:
            raise ValueError(f"{target.name}: {made.stderr}")
    except OSError:
        pass
    return False


def _run(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
