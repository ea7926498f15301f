"""What of the shared tables a process works on, as it knows the other nodes."""

from typing import Any

from bridge.app.records import share_of
from bridge.cluster.membership import SingleNode
from bridge.stores.nodes import Member


class Lapsed:
    """Members, one of which has a lease that ran out; nobody has declared it dead."""

    own = Member(node=1, boot="b", machine="here")

    def others(self):
        return []

    def find(self, node):
        return {0: Member(node=0, boot="a", machine="here"), 1: self.own}.get(node)


def test_what_a_node_records_whose_lease_has_run_out_is_left_to_it():
    members: Any = Lapsed()
    share = share_of(members)
    assert (share.first, share.nodes_of("here")) == (False, [0, 1])
    assert "00" in share.of_machine()["others"]


def test_the_only_node_works_on_everything():
    share = share_of(SingleNode(machine="here"))
    assert (share.first, share.of_machine()["others"]) == (True, "")
