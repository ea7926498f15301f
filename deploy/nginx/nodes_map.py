#!/usr/bin/env python3
"""Write the map of nodes to machines that cluster.conf includes, and reload nginx if it has changed.

    BRIDGE_ADMIN_KEY=… nodes_map.py https://calls.example /etc/nginx/bridge-nodes.map node1 node2

The names are those of the upstreams in cluster.conf, which are the machines' host names; nodes of other
machines are left out, and their requests take a hop. Run it every minute, as a cron job or systemd timer. An
answer that does not come leaves the map as it is.
"""

import json
import os
import subprocess
import sys
import urllib.request

TIMEOUT_SECONDS = 5
HERE = ("ready", "refusing", "draining")
"""States of nodes that answer."""


def lines(nodes: list[dict[str, object]], machines: list[str]) -> str:
    """Return the map of what `GET /nodes` has answered."""
    known = {
        node["id"]: node["machine"]
        for node in nodes
        if node["state"] in HERE and node["machine"] in machines
    }
    return "".join(f"{node:02x} {machine};\n" for node, machine in sorted(known.items()))


def main(url: str, path: str, machines: list[str]) -> None:
    """Ask the bridge, and write the map."""
    headers = {"token": os.environ["BRIDGE_ADMIN_KEY"]}
    request = urllib.request.Request(f"{url}/nodes", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        text = lines(json.load(answer)["nodes"], machines)
    if os.path.exists(path):
        with open(path) as file:
            if file.read() == text:
                return
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.replace(f"{path}.new", path)
    subprocess.run(["nginx", "-s", "reload"], check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
