"""Debian's nginx, started with the configuration that the project ships."""

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridge.cli.lan import on_lan
from bridge.settings.model import Data, Settings
from tests.support.machine import free_port

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "nginx" / "bridge.conf"
CLUSTER = CONFIGURATION.with_name("cluster.conf")
NAME = "calls.example"
READY_SECONDS = 60.0

AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/bridge.conf;
}}
"""
"""What Debian's own nginx.conf is around the file, with everything written below a test's folder."""


@contextmanager
def running_nginx(folder: Path, bridge: int) -> Iterator[int]:
    """Run nginx in front of the bridge on a port of loopback; gives nginx's port for HTTPS."""
    own = {"server 127.0.0.1:8080;": f"server 127.0.0.1:{bridge};"}
    with _running(folder, CONFIGURATION, own) as port:
        yield port


@contextmanager
def running_cluster_nginx(folder: Path, bridges: tuple[int, int]) -> Iterator[int]:
    """Run nginx in front of two machines on ports of loopback, whose map is `bridge-nodes.map` in the folder."""
    text = {
        f"10.0.0.{machine}:8080": f"127.0.0.1:{port}"
        for machine, port in zip((5, 6), bridges, strict=True)
    }
    text["/etc/nginx/bridge-nodes.map"] = f"{folder}/bridge-nodes.map"
    with _running(folder, CLUSTER, text) as port:
        yield port


@contextmanager
def running_bare_nginx(folder: Path, bridge: int | None, line: str) -> Iterator[str]:
    """Run nginx with one `proxy_pass` line and another, as nobody should; gives its URL."""
    port = free_port()
    passed = f"proxy_pass http://127.0.0.1:{bridge}; {line}"
    server = f"access_log off; server {{ listen 127.0.0.1:{port}; location / {{ {passed} }} }}"
    (folder / "bridge.conf").write_text(server)
    with _started(folder, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(folder: Path, configuration: Path, own: Mapping[str, str]) -> Iterator[int]:
    http = on_lan(Settings(data=Data(dir=str(folder))), "127.0.0.1").http
    plain, tls = free_port(), free_port()
    text = configuration.read_text()
    for shipped, ours in own.items():
        assert shipped in text, shipped
        text = text.replace(shipped, ours)
    for shipped, ours in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "/etc/ssl/calls.example.pem": http.tls_cert,
        "/etc/ssl/calls.example.key": http.tls_key,
        "/var/log/nginx/bridge.log": f"{folder}/access.log",
    }.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, ours)
    (folder / "bridge.conf").write_text(text)
    with _started(folder, tls):
        yield tls


@contextmanager
def _started(folder: Path, port: int) -> Iterator[None]:
    """Run nginx with the folder's `bridge.conf`, which listens on a port."""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/error.log"]
    log = (folder / "output.log").open("wb")
    with log, subprocess.Popen([*command, "-c", "nginx.conf"], stdout=log, stderr=log) as process:
        try:
            _wait_until_it_listens(process, port, folder)
            yield
        finally:
            process.terminate()
            process.wait(5)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    told = [path.read_text() for path in folder.glob("*.log")]
    raise AssertionError(f"nginx does not listen: {told}")
