"""Whether a word is lost at either end of a call, or where it passes to another party: `make words` measures it at the far party's ear.

Every kind of far party is spoken to by every kind of bot, which begins as early as it can, says a probe of three tones
at once, and ends the call in its own way. What is missing of the first and of the last tone is lost. Time is virtual.
"""

import argparse
import asyncio

from tests.bench.studies.words.measure import MAX_LOST, measure, report
from tests.support.virtual_time import VirtualTimeLoop


def main() -> None:
    """Measure, print, and fail where more than 20 ms were lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        found = runner.run(measure(arguments.calls))
    print(report(found))
    if any(one.worst > MAX_LOST + 1e-9 for one in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
