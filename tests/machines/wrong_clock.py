"""A wrong wall clock for one program, by a library that is loaded before its own."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def environment(folder: Path, seconds: int) -> dict[str, str]:
    """Compile the library and return the environment of a program whose clock is wrong by `seconds`."""
    library = folder / "wrong_clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "WRONG_CLOCK_SECONDS": str(seconds)}


def available() -> bool:
    """Whether there is a compiler."""
    return shutil.which("gcc") is not None
