"""Copying objects to their snapshots and back."""

from dataclasses import dataclass, field

import msgspec
import pytest

from bridge.wire.snapshot_fields import copied, restored


class Snapshot(msgspec.Struct):
    public: int
    private: str
    more: int = 5


class Owner:
    def __init__(self) -> None:
        self.public, self._private, self.other = 1, "one", 2

    @property
    def private(self) -> str:
        """Stands for a figure that is worked out of the attribute."""
        return "worked out"


@dataclass
class Record:
    public: int
    private: str
    made: int = field(init=False, default=9)


def test_attributes_come_back_public_or_private_and_others_stay():
    snapshot = copied(Snapshot, Owner(), public=3)
    assert snapshot == Snapshot(3, "one", 5)
    owner = restored(Owner(), snapshot, without=["more"])
    assert (owner.public, owner._private, owner.other) == (3, "one", 2)


def test_a_dataclass_is_made_of_a_snapshot():
    assert copied(Record, Snapshot(4, "two")) == Record(4, "two")


def test_a_field_that_an_object_does_not_have_is_a_mistake():
    with pytest.raises(AssertionError):
        restored(Owner(), Snapshot(1, "one"))
    with pytest.raises(TypeError):
        copied(Snapshot, object())
