"""Tests that a tool which is missing is said to be, and never passed over in silence."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def run_without_tools(folder, *tests):
    """Run tests in a process of their own, on a machine where no program can be found."""
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")
    }
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        env=environment | {"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout


def test_tests_that_lack_a_tool_are_skipped_by_name_with_the_reason(tmp_path):
    code, output = run_without_tools(
        tmp_path, "tests/deploy/test_metric_names.py", "-k", "promtool_accepts or no_two_panels"
    )
    assert code == 0, output
    assert "1 passed, 3 skipped" in output
    name = "tests/deploy/test_metric_names.py::test_promtool_accepts_the_rules"
    reason = "promtool is not installed (apt-get install prometheus)"
    assert f"SKIPPED {name} - Skipped: {reason}" in output
    assert f"skipped: 3 x {reason}" in output


def test_a_type_check_that_was_left_out_is_named_too(tmp_path):
    _, output = run_without_tools(tmp_path, "tests/test_log.py")
    assert "tsc -p web was left out: npm is not installed" in output
