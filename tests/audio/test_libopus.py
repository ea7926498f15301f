import importlib.util
from importlib.machinery import ModuleSpec

from bridge.audio.libopus import SYSTEM_NAME, candidates
from bridge.audio.opus import load


def test_the_bundled_library_is_tried_before_the_systems():
    names = candidates()
    assert "av.libs" in names[0]
    assert names[-1] == SYSTEM_NAME


def test_the_operators_choice_is_the_only_one_tried():
    assert candidates("/opt/opus/libopus.so") == ("/opt/opus/libopus.so",)


def test_the_bundled_library_can_be_loaded():
    path = candidates()[0]
    assert load([path]).path == path


def test_without_pyav_the_systems_library_is_left(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert candidates() == (SYSTEM_NAME,)


def test_a_pyav_without_a_bundled_library_leaves_the_systems(monkeypatch, tmp_path):
    spec = ModuleSpec("av", None, origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    assert candidates() == (SYSTEM_NAME,)
