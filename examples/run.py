"""Start a bridge and an example beside it until Ctrl-C, and say how to talk with it: run.py pipecat [echo] | twilio | openai | livekit."""

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

FOLDER = Path(__file__).resolve().parent
PORT = os.environ.get("PORT", "8765")
SERVER = f"127.0.0.1:{PORT}"
BRIDGE = f"http://127.0.0.1:{os.environ.get('BRIDGE_HTTP__PORT', '8080')}"
PROGRAMS = {"pipecat": "talk", "twilio": "server", "openai": "tools", "livekit": "server"}
STREAMS = {
    "pipecat": {"callStreamProtocol": "twilio", "callStreamUrl": f"ws://{SERVER}/ws"},
    "twilio": {"callStreamProtocol": "twilio", "callStreamUrl": f"ws://{SERVER}/media"},
    "openai": {"callStreamProtocol": "openai-realtime"},  # to the server of openai/bridge.toml
}
"""By example: where calls are streamed to (PUT /call/config)."""
DEMO = f"{BRIDGE}/#key=demo and press: Talk to the demo agent"
PAGES = {"livekit": f"http://{SERVER} and press: Call"}


def main() -> None:
    example, program = [*sys.argv[1:], PROGRAMS[sys.argv[1]]][:2]
    os.chdir(FOLDER.parent)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        settings = {
            "BRIDGE_DATA__DIR": stack.enter_context(tempfile.TemporaryDirectory()),
            "LOGURU_LEVEL": "INFO",
            "BRIDGE_NET__ALLOW": '["127.0.0.0/8"]',  # the bridge reaches servers on this machine
            "BRIDGE_HTTP__CORS_ORIGINS": f'["http://{SERVER}"]',  # the page of livekit
        }
        bridge = ["-m", "bridge"]
        if example == "openai":
            key = os.environ.get("OPENAI_API_KEY") or sys.exit("Set OPENAI_API_KEY first.")
            settings["BRIDGE_LINES__DEMO__REALTIME__KEY"] = key
            settings["BRIDGE_LINES__DEMO__REALTIME__TOOLS_URL"] = f"http://{SERVER}/tools"
            bridge += ["--config", str(FOLDER / "openai" / "bridge.toml")]
        processes: list[subprocess.Popen] = []
        for part in (bridge, [str(FOLDER / example / f"{program}.py")]):
            processes.append(subprocess.Popen([sys.executable, *part], env=settings | os.environ))
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].terminate)
        wait_until_ready(processes)
        stream = STREAMS.get(example, {"callInboundMode": "manual"})
        request("PUT", "/call/config", {"callInboundMode": "stream", **stream})
        request("POST", "/session/connect", {})
        print(f"\nOpen {PAGES.get(example, DEMO)}\n", flush=True)
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)


def wait_until_ready(processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        with suppress(OSError):
            request("GET", "/readyz")
            socket.create_connection(("127.0.0.1", int(PORT))).close()
            return
        time.sleep(0.2)
    raise SystemExit("One of the two did not start; see what it says above.")


def request(method: str, path: str, body: dict | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(BRIDGE + path, data, {"token": "demo"}, method=method)
    urllib.request.urlopen(sent, timeout=10).close()


if __name__ == "__main__":
    main()
