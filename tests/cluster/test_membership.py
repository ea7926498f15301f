"""The nodes of one machine, as each of them knows the others."""

from bridge.cluster.membership import SingleNode, Supervised, is_first
from bridge.stores.nodes import Member


def member(node, *, draining=False):
    return Member(node=node, boot=f"{node:016x}", draining=draining)


def test_a_node_alone_knows_itself():
    members = SingleNode()
    assert members.others() == []
    assert members.find(0) == members.own
    assert members.find(1) is None
    assert len(members.own.boot) == 16
    assert members.own.boot != SingleNode().own.boot


def test_the_supervisor_names_the_others():
    members = Supervised(member(1), [member(2), member(0)], launch_id="run")
    assert [other.node for other in members.others()] == [0, 2]
    members.update([member(0), member(1)], [member(2)])
    assert members.others() == [member(0)]
    assert members.find(2) is None
    assert members.find(1) == members.own


def test_a_process_that_has_ended_is_reported_once():
    members = Supervised(member(1), [member(0)], launch_id="run")
    ended: list[Member] = []
    members.follow_ended(lambda found, certain: ended.extend(found if certain else ()))
    members.update([member(1)], [member(0)])
    members.update([member(1)], [member(0)])
    assert ended == [member(0)]


def test_a_lost_node_is_reported_once_it_is_taken_over():
    members = Supervised(member(1), [member(0)], launch_id="run")
    lost: list[Member] = []
    members.follow_lost(lost.append)
    members.update([member(1)], [member(0)])
    assert lost == []
    members.taken_over(member(0))
    assert lost == [member(0)]


def test_the_first_node_is_the_one_with_the_least_number_that_takes_calls():
    assert is_first(SingleNode())
    assert is_first(Supervised(member(0), [member(1)], launch_id="run"))
    assert not is_first(Supervised(member(1), [member(0)], launch_id="run"))
    assert is_first(Supervised(member(1), [member(0, draining=True)], launch_id="run"))
