"""Start a bridge and an example beside it, and say how to talk with it: run.py pipecat [echo] | twilio | openai."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

FOLDER = Path(__file__).parent
PORT = os.environ.get("PORT", "8765")
BRIDGE = f"http://127.0.0.1:{os.environ.get('BRIDGE_HTTP__PORT', '8080')}"
KEY = "demo"
READY_SECONDS = 60
PROGRAMS = {"pipecat": "talk", "twilio": "server", "openai": "tools"}
"""By example: the program that is started unless another is named."""
STREAMS = {
    "pipecat": {"callStreamProtocol": "twilio", "callStreamUrl": f"ws://127.0.0.1:{PORT}/ws"},
    "twilio": {"callStreamProtocol": "twilio", "callStreamUrl": f"ws://127.0.0.1:{PORT}/media"},
    "openai": {"callStreamProtocol": "openai-realtime"},  # to the server of openai/bridge.toml
}
"""By example: where calls are streamed to (PUT /call/config)."""


def main() -> None:
    """Run both until Ctrl-C, or until either ends."""
    example = sys.argv[1]
    program = sys.argv[2] if len(sys.argv) > 2 else PROGRAMS[example]
    settings = FOLDER / example / "bridge.toml"
    options = ["--config", settings] if settings.exists() else []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        environment = {
            "LOGURU_LEVEL": "INFO",
            "BRIDGE_DATA__DIR": stack.enter_context(tempfile.TemporaryDirectory()),
            "BRIDGE_NET__ALLOW": '["127.0.0.0/8"]',  # the bridge reaches servers on this machine
            **os.environ,
        }
        processes: list[subprocess.Popen] = []
        for started in (["-m", "bridge", *options], [FOLDER / example / f"{program}.py"]):
            command = [sys.executable, *started]
            processes.append(subprocess.Popen(command, env=environment, cwd=FOLDER.parent))
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].terminate)
        wait_until_ready(processes)
        request("PUT", "/call/config", {"callInboundMode": "stream", **STREAMS[example]})
        request("POST", "/session/connect", {})
        print(f"\nOpen {BRIDGE}/#key={KEY} and press: Talk to the demo agent\n", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)


def wait_until_ready(processes: list[subprocess.Popen]) -> None:
    """Wait until the bridge takes calls and the example takes connections."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        with suppress(OSError):
            request("GET", "/readyz")
            socket.create_connection(("127.0.0.1", int(PORT))).close()
            return
        time.sleep(0.2)
    raise SystemExit("One of the two did not start; see what it says above.")


def request(method: str, path: str, body: dict | None = None) -> None:
    """Send a request to the bridge."""
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(BRIDGE + path, data, {"token": KEY}, method=method)
    urllib.request.urlopen(sent, timeout=10).close()


if __name__ == "__main__":
    main()
