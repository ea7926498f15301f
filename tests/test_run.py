"""The shards that the tests are shared out in, and what is said at their end."""

from pathlib import Path

import pytest

from tests.run import PROJECT, Shard, failed, may_unshare, report, run, shards_of


def covers(shard, file):
    """Return whether a shard collects a file."""
    return any(file.is_relative_to(place) for place in shard.arguments)


def test_every_file_of_tests_is_in_exactly_one_shard(tmp_path):
    shards = list(shards_of(tmp_path))
    files = [path.relative_to(PROJECT) for path in (PROJECT / "tests").rglob("test_*.py")]
    assert len(files) > 500
    places = {file: [shard.name for shard in shards if covers(shard, file)] for file in files}
    assert {str(file): found for file, found in places.items() if len(found) != 1} == {}


@pytest.fixture
def shard(tmp_path):
    """A function that runs a file of tests as a shard."""

    def made(name, text):
        file = tmp_path / f"test_{name}.py"
        file.write_text(text)
        shard = Shard(
            name, ["-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(file)], tmp_path / name
        )
        run([shard], ["-c", str(Path(PROJECT, "pyproject.toml"))], 1)
        return shard

    return made


@pytest.mark.full
@pytest.mark.skipif(
    not may_unshare(), reason="network namespaces cannot be made (as root, with iproute2)"
)
def test_cables_that_tests_of_clusters_lay_are_not_seen_outside(shard, tmp_path):
    seen = tmp_path / "seen"
    shard(
        "clusters",
        f"import os\ndef test(): open({str(seen)!r}, 'w').write(os.readlink('/proc/self/ns/net'))\n",
    )
    assert seen.read_text() not in {"", str(Path("/proc/self/ns/net").readlink())}


@pytest.mark.full
def test_what_passed_failed_and_was_used_is_said_at_the_end(shard, capsys):
    good = shard("good", "def test_one(): assert 1\n")
    bad = shard("bad", "def test_two():\n    seen = 3\n    assert seen == 4\n")
    assert not failed(good)
    assert failed(bad)
    assert report([good], "quick", 61.0) == 0
    assert report([good, bad], "quick", 61.0) == 1
    said = capsys.readouterr().out
    assert "assert 3 == 4" in said
    assert "1 min 1 s" in said
    assert "CPU seconds" in said
    assert "FAILED: bad" in said
    assert "\n1 passed, 1 failed, 0 skipped\n" in said
    assert said.splitlines()[-1].startswith("left to make test-all: ")


@pytest.mark.full
def test_a_shard_whose_process_dies_has_failed(shard, capsys):
    dead = shard("dead", "import os\ndef test_one(): os._exit(0)\n")
    assert report([dead], "quick", 1.0) == 1
    assert "FAILED: dead" in capsys.readouterr().out
