"""Snapshots of peers as data."""

from bridge.wire.snapshot.peer import restore_counts


def test_counts_that_a_version_does_not_have_are_dropped():
    counts = {"empty": 0, "new": 0}
    restore_counts(counts, {"empty": 3, "old": 7})
    assert counts == {"empty": 3, "new": 0}
