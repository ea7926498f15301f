"""The machine's own networks."""

from ipaddress import ip_address, ip_network

from bridge.http.interfaces import FRESH_SECONDS, Interfaces, read_networks


def test_the_networks_of_this_machine_hold_loopback():
    found = read_networks()
    assert any(ip_address("127.0.0.1") in network for network in found if network.version == 4)
    assert all(network.prefixlen for network in found)


def test_what_was_read_counts_for_a_while_and_is_then_read_again():
    times, reads = [0.0], []

    def read():
        reads.append(times[0])
        return [ip_network("10.0.0.0/8")]

    more = ip_network("198.51.100.7/32")
    here = Interfaces([more], read=read, now=lambda: times[0])
    assert here.networks() == (more, ip_network("10.0.0.0/8"))
    times[0] = FRESH_SECONDS / 2
    here.networks()
    times[0] = FRESH_SECONDS
    here.networks()
    assert reads == [0.0, FRESH_SECONDS]


def test_addresses_that_are_known_stay_closed_while_interfaces_cannot_be_read():
    def read():
        raise OSError("no such thing here")

    more = ip_network("198.51.100.7/32")
    assert Interfaces([more], read=read).networks() == (more,)
