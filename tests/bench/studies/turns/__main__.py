"""Runs the study: `python -m tests.bench.studies.turns`."""

from tests.bench.studies.turns.study import main

main()
