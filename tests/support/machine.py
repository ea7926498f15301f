"""The machine the tests run on: its own address, and ports that are free."""

import socket


def own_address() -> str:
    """Return the address of the default route, else of the host name; may be loopback.

    Nothing is sent: connecting a UDP socket only asks the routing table.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return socket.gethostbyname(socket.gethostname())
        return str(probe.getsockname()[0])


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and UDP at this moment."""
    for _ in range(20):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((address, 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def free_ports(number: int) -> set[int]:
    """Return as many different ports as asked for that are free at this moment."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return ports
