"""What a telephone costs beside a browser, and how soon it rings.

Two bridges on the same core take turns, as in `tests.bench.against`: one carries calls between browsers,
the other calls between a browser and a telephone behind a trunk.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import jobs, servers
from tests.bench.generators.dialling import Dialled
from tests.bench.generators.trunk import OPUS, PCMU, settings
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.comparison import compare as compare_builds
from tests.bench.servers import Server
from tests.bench.slices import Build, Plan, Slice
from tests.support.machine import free_port

TELEPHONES, BROWSERS = "telephones", "browsers"
LEGS = 24
SECONDS = 2.0
"""Of a slice."""
DIALS, BURST = 40, 50
_PORTS = {TELEPHONES: "20000-24999", BROWSERS: "25000-29999"}
_CHILD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """A kind of telephone, and the settings of both bridges."""

    codec: str
    environment: Mapping[str, str]


LOADS: Mapping[str, Load] = {
    "a telephone with G.711 / a browser through PCM": Load(
        PCMU, {"BRIDGE_MEDIA__PASSTHROUGH": "false"}
    ),
    "a telephone with Opus / a browser, passthrough": Load(OPUS, {}),
}


def compare(load: str, *, rounds: int, seconds: float = SECONDS) -> Comparison:
    """Compare the cost of a leg of both kinds of call.

    Raises:
        RuntimeError: a server or the generator failed.
    """
    codec, environment = LOADS[load].codec, LOADS[load].environment
    core, beside = servers.cores()
    port = free_port()
    with (
        telephone_bridge(codec, port, core=core, **environment) as telephones,
        servers.start(
            "bridge", core=core, **environment, BRIDGE_RTC__PORTS=_PORTS[BROWSERS]
        ) as browsers,
    ):
        plan = Plan(
            builds=[
                Build(
                    name=TELEPHONES,
                    url=telephones.url,
                    pid=telephones.pid,
                    kind=codec,
                    trunk_port=port,
                ),
                Build(name=BROWSERS, url=browsers.url, pid=browsers.pid, kind="pair"),
            ],
            legs=LEGS,
            rounds=rounds,
            seconds=seconds,
            seed=1,
        )
        limit = 60 + LEGS + rounds * 2 * (seconds + 2)
        tree = jobs.child("tests.bench.slices", asdict(plan), core=beside, seconds=limit)
    slices = [[Slice(**one) for one in each] for each in tree]
    return compare_builds(load, slices, first=TELEPHONES, second=BROWSERS)


def dial(*, dials: int = DIALS, burst: int = BURST) -> Dialled:
    """Call telephones one after the other, and many at once.

    Raises:
        RuntimeError: the server or the caller failed.
    """
    core, beside = servers.cores()
    port = free_port()
    with telephone_bridge(PCMU, port, core=core) as server:
        plan = {"url": server.url, "trunk_port": port, "dials": dials, "burst": burst}
        found = jobs.child(
            "tests.bench.generators.dialling", plan, core=beside, seconds=_CHILD_SECONDS
        )
    return Dialled(**found)


@contextmanager
def telephone_bridge(
    codec: str, port: int, *, core: int | None, root: str = str(servers.ROOT), **more: str
) -> Iterator[Server]:
    """Start a bridge, of a checkout, whose trunk is on a port of loopback."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = Path(folder) / "bridge.toml"
        config.write_text(settings(port, codec))
        environment = {"BRIDGE_CONFIG": str(config), "BRIDGE_RTC__PORTS": _PORTS[TELEPHONES]} | more
        with servers.start("stopping", core=core, root=root, **environment) as server:
            yield server
