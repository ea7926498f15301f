"""Which rows a process works on."""

from bridge.stores.share import Share, only

LIVING = [(2, "a"), (5, "a"), (1, "b"), (9, "b")]


def share(node, machine):
    return Share(machine, node, lambda: LIVING)


def works_on(values, node):
    """Whether a condition with these values meets a row of a node, as the statements have it."""
    return f"{node:02X}" not in values["others"]


def test_every_process_works_on_its_own_rows():
    for node, machine in LIVING:
        assert works_on(share(node, machine).of_machine(), node)
        assert works_on(share(node, machine).of_all(), node)


def test_what_nobody_of_a_machine_owns_falls_to_its_least_process():
    assert works_on(share(2, "a").of_machine(), 0x30)
    assert not works_on(share(5, "a").of_machine(), 0x30)
    # Number 1 lives, on the other machine.
    assert works_on(share(2, "a").of_machine(), 1)


def test_what_no_process_owns_falls_to_the_least_of_all():
    assert works_on(share(1, "b").of_all(), 0x30)
    assert not any(works_on(share(node, "a").of_all(), 0x30) for node in (2, 5))
    assert [node for node, machine in LIVING if share(node, machine).first] == [1]


def test_nobody_works_on_the_rows_of_another_living_process():
    for node, machine in LIVING:
        mine = share(node, machine).of_all()
        assert not any(works_on(mine, other) for other, _ in LIVING if other != node)


def test_numbers_are_told_apart_from_parts_of_others():
    names = Share("a", 0, lambda: [(0, "a"), (0x10, "a"), (0x02, "a")]).of_machine()
    assert works_on(names, 0x01)
    assert works_on(names, 0x20)


def test_the_only_process_works_on_everything():
    assert works_on(only("a").of_machine(), 0)
    assert works_on(only("a").of_machine(), 255)
    assert only("a").machines() == {"a"}
