"""nginx in front of the machines, with the configuration that the project ships."""

from collections.abc import Sequence
from pathlib import Path

from bridge.cli.lan import on_lan
from bridge.settings.model import Data, Settings
from tests.machines.network import Host
from tests.machines.programs import Program, wait_until
from tests.support.machine import free_port
from tests.support.servers.nginx import AROUND, CONFIGURATION


class Front(Program):
    """The load balancer; `url` is where clients go."""

    url: str = ""


def run(host: Host, machines: Sequence[str], folder: Path) -> Front:
    """Run nginx in front of machines (`address:port`)."""
    folder.mkdir(parents=True, exist_ok=True)
    http = on_lan(Settings(data=Data(dir=str(folder))), host.address).http
    plain, tls = free_port(host.address), free_port(host.address)
    servers = "\n    ".join(f"server {machine} fail_timeout=1s;" for machine in machines)
    text = CONFIGURATION.read_text()
    for shipped, ours in {
        "server 127.0.0.1:8080;": servers,
        "listen 80;": f"listen {host.address}:{plain};",
        "listen 443 ssl;": f"listen {host.address}:{tls} ssl;",
        "/etc/ssl/calls.example.pem": http.tls_cert,
        "/etc/ssl/calls.example.key": http.tls_key,
        "/var/log/nginx/bridge.log": f"{folder}/access.log",
    }.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, ours)
    (folder / "bridge.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", "nginx.conf"]
    front = Front(host, command, folder)
    front.url = f"https://{host.address}:{tls}"
    front.start()
    wait_until(lambda: _listens(host, tls), "nginx does not listen")
    return front


def _listens(host: Host, port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((host.address, port)) == 0
