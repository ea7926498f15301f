"""Every command and program of the documents is run as it is written, against a real bridge.

JavaScript runs in tests/browser/test_document_blocks.py; tests/deploy/test_metric_names.py checks PromQL.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.settings.model import load
from tests.docs.blocks import Block, blocks, pages, runnable
from tests.support.server import Server, running

LANGUAGES = {"sh", "python", "toml", "js", "promql", "text", "swift", "kotlin", "dart"}
EXAMPLE = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A bridge as `make run` starts it, whose customers' URLs may lead to this machine."""
    folder = tmp_path_factory.mktemp("documents")
    quick = {"SIMULATOR__RING_SECONDS": "0.1", "NET__ALLOW": '["127.0.0.0/8"]'}
    with running(folder, **quick) as started:
        yield started


def place(block: Block) -> str:
    return f"{block.page}:{block.line}"


def run(program: list[str], text: str, folder: Path) -> str:
    done = subprocess.run(
        [*program, text], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_says_its_language():
    found = [block for page in pages() for block in blocks(page)]
    assert [place(block) for block in found if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", sorted({block.page for block in runnable("sh")}))
@pytest.mark.full
def test_the_commands_of_a_page_work_one_after_the_other(server, page, tmp_path):
    script = "\n".join(block.text for block in runnable("sh") if block.page == page)
    (tmp_path / "data").symlink_to(server.folder / "data")  # as in a clone where `make run` runs
    told = run(["bash", "-euo", "pipefail", "-c"], script.replace(EXAMPLE, server.url), tmp_path)
    assert not re.search(r'"success": *false', told), told


@pytest.mark.parametrize("block", runnable("python"), ids=place)
@pytest.mark.full
def test_a_program_runs_as_it_is_written(server, block, tmp_path):
    run([sys.executable, "-c"], block.text.replace(EXAMPLE, server.url), tmp_path)


@pytest.mark.parametrize("block", runnable("toml"), ids=place)
def test_settings_that_are_shown_are_accepted(block, tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(block.text)
    tomllib.loads(block.text)
    load({}, path)
