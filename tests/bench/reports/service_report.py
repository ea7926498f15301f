"""The report's tables of media sockets, playback and agents."""

from collections.abc import Sequence

from tests.bench.generators.playing import Played
from tests.bench.generators.socket_programs import PROGRAMS
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.talks import Talked
from tests.bench.measure import percentile
from tests.bench.reports.comparison import cells
from tests.bench.reports.reading import BUSY
from tests.bench.reports.targets import Results
from tests.bench.studies.event_path import EventLoad

SOCKET_HEADS = (
    "media sockets", "sockets", "CPU/socket %", "there and back p50 ms", "p95", "max",
    "onsets heard", "messages, worst", "dropped s", "lag p99 ms", "generator CPU %", "late ms",
)  # fmt: skip

TELEPHONE_HEADS = (
    "CPU per leg", "rounds", "telephone %", "browser %", "ratio", "lower quartile",
    "upper quartile", "delay p95 ms", "browsers' ", "packets/s worst",
)  # fmt: skip

EVENT_HEADS = (
    "database",
    "events",
    "transactions",
    "on the disk after p50 ms",
    "p99",
    "max",
    "CPU %",
)
TIME_HEADS = ("time until", "times", "p50 ms", "p95", "max")


def sockets(loads: Sequence[SocketLoad]) -> list[tuple[str, ...]]:
    """Make the lines of the sockets' table."""
    return [
        (
            f"{one.kind}: {PROGRAMS[one.kind].title}",
            str(one.sockets),
            f"{one.cpu_per_socket:.2f}",
            *_times(one.delays),
            f"{len(one.delays)} of {one.onsets_sent}",
            f"{one.rate:.1%}",
            f"{one.dropped_seconds:.2f}",
            f"{1000 * one.lag_p99:.1f}",
            f"{one.generator_cpu:.0f}",
            f"{1000 * one.lateness:.1f}",
        )
        for one in loads
    ]


def times(results: Results, *, masked: bool = True) -> list[tuple[str, ...]]:
    """Make the lines of the table of what playback, agents, Pipecat and dialling take.

    Args:
        results: All that was measured.
        masked: Whether times of a busy machine are left out.
    """
    found: list[tuple[str, str, list[float], int]] = []
    if (played := results.played) is not None:
        found += [
            ("playback", "an asset that was asked for is heard", played.starts, played.asked),
            ("playback", "its request is answered", played.replies, played.asked),
            ("playback", "an hour of MP3 is heard", played.hour_starts, played.hour_asked),
        ]
    if (talked := results.talked) is not None:
        found += [
            ("agent", "an agent that is spoken over is silent", talked.stops, talked.turns),
            ("agent", "an agent answers, from its noticing the end", talked.own, talked.turns),
            ("agent", "an agent answers, from the true end", talked.answers, talked.turns),
        ]
    if (echoed := results.pipecat) is not None:
        found.append(("pipecat", "speech is back from Pipecat", echoed.delays, echoed.onsets_sent))
    if (dialled := results.dialled) is not None:
        whole = f"{dialled.burst} telephones called at once are connected"
        found += [
            (
                "dialling",
                "a telephone is called, without its own time",
                dialled.overheads,
                dialled.dials,
            ),
            ("dialling", whole, [dialled.burst_seconds], 1),
        ]
    return [
        (
            what,
            f"{len(values)} of {of}",
            *((BUSY,) * 3 if masked and results.busy(section) else _times(values)),
        )
        for section, what, values, of in found
    ]


def events(loads: Sequence[EventLoad]) -> list[tuple[str, ...]]:
    """Make the lines of the table of events."""
    return [
        (
            one.database,
            str(one.sent),
            str(one.commits),
            *(_ms(percentile(one.delays, share)) for share in (50, 99, 100)),
            f"{one.cpu:.1f}",
        )
        for one in loads
    ]


def telephones(results: Results, *, masked: bool = True) -> list[tuple[str, ...]]:
    """Make the lines of the table of what telephones cost; absolute figures of a busy machine may be left out."""
    lines = []
    for one in results.telephones:
        load, rounds, cost, before, ratio, lower, upper, *others = cells(one)
        if masked and results.busy(one.load):
            cost, before, *others = (BUSY,) * (2 + len(others))
        lines.append((load, rounds, cost, before, ratio, lower, upper, *others))
    return lines


def notes(played: Played | None, talked: Talked | None) -> list[str]:
    """Say what the figures are."""
    lines = []
    if played is not None:
        lines.append(
            "playing: from posting the request to the packet in which the file is heard; an MP3 file "
            f"begins with {1000 * played.hour_lead:.0f} ms of silence; while the hour plays, the processes "
            f"that there were hold {played.hour_bytes / 1e6:.1f} MB more"
        )
    if talked is not None:
        lines.append(
            "agents: silent = from sending the packet in which a voice begins to the agent's last; "
            f"the true end is followed by {talked.end_seconds:g} s of silence at most, which tell that it "
            "was one (a setting); providers answer at once and their requests are counted in"
        )
    return lines


def _times(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(_ms(percentile(values, share)) for share in (50, 95, 100))


def _ms(seconds: float) -> str:
    return "" if seconds != seconds else f"{1000 * seconds:.1f}"
