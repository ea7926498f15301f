"""Which path packets take: compiled or Python."""

import sys
from typing import Final

from bridge.cli.doctor.findings import Finding, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.rtc.packet_path_build import COMPILER_PACKAGES
from bridge.rtc.packet_path_library import NOT_LINUX, TURNED_OFF, Library, Unavailable, load

CHECK: Final = "packet_path"
FIX: Final = (
    f"with a C compiler ({COMPILER_PACKAGES}), `make run` builds it, or "
    f"`{sys.executable} -m bridge.rtc.packet_path_build`; then restart the bridge"
)


async def check_packet_path(around: Surroundings) -> list[Finding]:
    """Load the compiled packet path."""
    return [judge_packet_path(load(compiled=around.settings.rtc.compiled))]


def judge_packet_path(found: Library | Unavailable) -> Finding:
    """Return which path packets take, and what to do where the compiled one is wanted and not there."""
    if isinstance(found, Library):
        return ok(CHECK, f"packets take the compiled path, {found.path}")
    text = f"packets take the Python path, which carries fewer calls: the compiled one is {found.reason}"
    if found.reason in {TURNED_OFF, NOT_LINUX}:
        return ok(CHECK, text)
    return warning(CHECK, text, setting="rtc.compiled", fix=FIX)
