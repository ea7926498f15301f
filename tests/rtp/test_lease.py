"""Which sinks can be leased."""

from bridge.rtp.lease import leasable_owner


class Sender:
    """What `leasable_owner` looks for."""

    def __init__(self, *, leasable):
        self.leasable = leasable

    def lease(self, mode, timeline):
        """Lease nothing."""

    def push(self, frame, now):
        """Take a frame."""


def test_a_bound_method_belongs_to_its_sender():
    sender = Sender(leasable=True)
    assert leasable_owner(sender.push) is sender


def test_a_sender_without_a_transport_that_leases_is_none():
    assert leasable_owner(Sender(leasable=False).push) is None


def test_functions_and_methods_of_other_objects_have_no_owner():
    assert leasable_owner(print) is None
    assert leasable_owner([].append) is None
    assert leasable_owner(lambda frame, now: None) is None
    assert leasable_owner(None) is None
