"""The metrics of all nodes of a machine in one answer; each sample has its `node` as a label."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from io import StringIO
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bridge.api.server.operation import FILE, METRICS, Context, Group
from bridge.api.server.services import CLUSTER, CONTROL, LINES, NODE
from bridge.call.model import State
from bridge.metrics.registry import Metrics
from bridge.slices import in_steps

METRICS_PATH = "/node/metrics"
"""Where siblings fetch each other's metrics."""
GROUP: Final = Group(name="Service")
HEADER = "# HELP "
LINES_AT_ONCE: Final = 128
"""Lines merged before the event loop does something else: about 0.1 ms."""
UP = """# HELP bridge_node_up Whether the node answers.
# TYPE bridge_node_up gauge
bridge_node_up """


@GROUP.get("/metrics", auth=METRICS, content="text/plain", gives=FILE)
async def metrics(context: Context) -> web.Response:
    """Return the metrics for Prometheus; programs on the same machine may send the local token."""
    siblings = context[CLUSTER].siblings
    texts: dict[int, bytes | None] = {siblings.own if siblings else 0: await own(context.http.app)}
    if siblings is not None:
        # Prometheus asks every machine by itself.
        texts |= await siblings.request_all(METRICS_PATH, siblings.neighbours())
    body = await _joined(context[NODE].metrics, merge_slices(texts))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def own(app: web.Application) -> bytes:
    """Return this node's metrics."""
    manager, node = app[CONTROL].manager, app[NODE]
    figures = node.metrics
    states = dict.fromkeys(State, 0) | Counter(call.machine.state for call in manager.calls())
    figures.calls.set_current(states, limit=manager.admission.quota.total)
    used, free = node.media_ports()
    figures.node.set_media_ports(used, "used")
    figures.node.set_media_ports(free, "free")
    figures.media_thread.measure(node.media_thread())
    members = app[CLUSTER].members
    figures.node.set_spares(members.spares)
    draining = [one.draining for one in members.others()] + [node.drain.active]
    figures.node.set_draining(node.drain.active)
    figures.node.set_nodes(sum(draining), "draining")
    figures.node.set_nodes(len(draining) - sum(draining), "serving")
    app[LINES].sip.states.measure()
    return await _joined(figures, figures.slices())


def merge_slices(texts: Mapping[int, bytes | None]) -> Iterator[str]:
    """Yield the nodes' texts, grouped by metric, `LINES_AT_ONCE` lines at a time.

    None stands for a node that did not answer.
    """
    families: dict[str, list[str]] = {}
    for node, text in sorted(texts.items()):
        up = f"{UP}{float(text is not None)}\n"
        for number, _ in enumerate(_add(families, (text or b"").decode() + up, f'node="{node}"')):
            if number % LINES_AT_ONCE == 0:
                yield ""
    for lines in families.values():
        for start in range(0, len(lines), LINES_AT_ONCE):
            yield "".join(lines[start : start + LINES_AT_ONCE])


async def _joined(metrics: Metrics, slices: Iterator[str]) -> bytes:
    """Join the parts of a text, one a step."""
    took = partial(metrics.steps.took, "scrape")
    return "".join([text async for text in in_steps(slices, took)]).encode()


def _add(families: dict[str, list[str]], text: str, label: str) -> Iterator[None]:
    """Add a node's lines to those of the same metric, one a step."""
    lines: list[str] = []
    known = False
    for line in StringIO(text):
        if line.startswith(HEADER):
            name = line.split(" ", 3)[2]
            known = name in families
            lines = families.setdefault(name, [])
        if not line.startswith("#"):
            lines.append(_labelled(line, label))
        elif not known:
            lines.append(line)
        yield


def _labelled(sample: str, label: str) -> str:
    series, _, value = sample.rpartition(" ")
    if series.endswith("}"):
        return f"{series[:-1]},{label}}} {value}"
    return f"{series}{{{label}}} {value}"
