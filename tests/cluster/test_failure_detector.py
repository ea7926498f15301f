"""When a node may declare others dead, and which."""

from bridge.cluster.failure_detector import Decision, FailureDetector, decide, suspects
from bridge.cluster.timing import ClusterTiming
from bridge.stores.nodes import Lease, Member

TIMING = ClusterTiming(heartbeat=2.0)


def member(node: int) -> Member:
    return Member(node=node, boot=f"boot {node}")


def leases(*untils: float | None) -> list[Lease]:
    return [Lease(member(node), until) for node, until in enumerate(untils)]


def armed_after(*events: float) -> bool:
    """Beat at these times (a negative one fails), and say whether the node is armed at the last."""
    detector = FailureDetector(TIMING)
    for at in events:
        if at < 0:
            detector.failed()
        else:
            detector.renewed(at)
    return detector.armed(abs(events[-1]))


def test_a_node_judges_others_after_a_lease_without_a_gap():
    assert not armed_after(0.0)
    assert not armed_after(0.0, 2.0, 4.0, 6.0)
    assert armed_after(0.0, 2.0, 4.0, 6.0, 8.0)


def test_a_failed_heartbeat_or_a_pause_begins_anew():
    assert not armed_after(0.0, 2.0, 4.0, 6.0, 8.0, -10.0)
    assert not armed_after(0.0, 2.0, 4.0, -6.0, 8.0, 10.0, 12.0, 14.0)
    assert armed_after(0.0, -2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    # Stopped for a minute, it would find all others expired.
    assert not armed_after(0.0, 2.0, 4.0, 6.0, 8.0, 68.0)


def test_a_node_whose_last_heartbeat_is_long_ago_judges_nobody():
    detector = FailureDetector(TIMING)
    for at in range(10):
        detector.renewed(float(at))
    assert detector.armed(10.0)
    assert not detector.armed(20.0)


def test_a_lease_that_ran_out_makes_others_suspects_but_not_oneself():
    found = leases(5.0, 5.0, 15.0, None)
    assert suspects(found, own=member(0), now=10.0) == [member(1)]


def test_a_silent_node_is_dead_and_one_that_answers_as_itself_is_not():
    found = leases(15.0, 5.0, 5.0)
    assert decide(found, [member(1), member(2)], ["boot 2"]) == Decision(dead=[member(1)])


def test_of_two_nodes_one_may_declare_the_other_dead():
    assert decide(leases(15.0, 5.0), [member(1)], []) == Decision(dead=[member(1)])


def test_more_than_half_of_the_nodes_are_not_declared_dead():
    three = [member(1), member(2)]
    assert decide(leases(15.0, 5.0, 5.0), three, []) == Decision(refused=three)
    assert decide(leases(15.0, 15.0, 5.0, 5.0), three, []) == Decision(dead=three)
