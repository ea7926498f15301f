"""The memory that control groups allow, of both versions."""

import pytest

from bridge.cluster.memory_limit import memory_limit


def limit(tmp_path, own: str, **files: str) -> int | None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "root" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory_limit(tmp_path / "root", tmp_path / "own")


def test_the_least_of_a_group_and_those_around_it_counts(tmp_path):
    found = limit(
        tmp_path,
        "0::/system.slice/bridge.service\n",
        system_slice__memory_max="5",
        **{
            "system.slice__memory_max": "700\n",
            "system.slice__bridge.service__memory_max": "900\n",
        },
    )
    assert found == 700


@pytest.mark.parametrize("own", ["0::/\n", "0::/../else\n", ""])
def test_a_container_sees_its_own_group_as_the_root(tmp_path, own):
    assert limit(tmp_path, own, memory_max="536870912\n") == 536870912


def test_groups_of_the_first_version_have_a_file_of_another_name(tmp_path):
    own = "4:cpu,cpuacct:/else\n3:memory:/docker/1f\n"
    assert limit(tmp_path, own, memory__docker__1f__memory__limit_in_bytes="0") is None
    path = tmp_path / "root" / "memory" / "docker" / "1f" / "memory.limit_in_bytes"
    path.write_text("1000\n")
    assert memory_limit(tmp_path / "root", tmp_path / "own") == 1000


def test_without_a_limit_there_is_none(tmp_path):
    assert limit(tmp_path, "0::/bridge\n", bridge__memory_max="max\n") is None
    assert memory_limit(tmp_path / "nothing", tmp_path / "nothing") is None
