"""The README's tour, walked on a real bridge."""

import re
import subprocess
from pathlib import Path

from tests.support.server import running

README = Path(__file__).parents[1] / "README.md"


def tour() -> str:
    found = re.search(r"<!-- tour -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, "the README has no tour"
    return found[1]


def test_every_step_of_the_tour_works_as_written(tmp_path):
    with running(tmp_path, SIMULATOR__RING_SECONDS="0.1") as server:
        script = tour().replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert '"success": false' not in done.stdout, done.stdout
    assert done.stdout.count('"success": true') == 7
    assert "bridge_calls_started_total" in done.stdout
