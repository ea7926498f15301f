"""Which path packets take: compiled, where it is wanted and can be loaded, else Python."""

import logging

from bridge.metrics.node import NodeMetrics
from bridge.rtc.packet_path_library import Library, load
from bridge.settings.rtc import Rtc

log = logging.getLogger(__name__)


def choose_packet_path(rtc: Rtc, metrics: NodeMetrics) -> Library | None:
    """Return the compiled packet path, or None for Python; log which it is and why, and say it in the metrics."""
    found = load(compiled=rtc.compiled)
    if isinstance(found, Library):
        log.info("packet_path.chosen", extra={"path": "compiled"})
        metrics.set_packet_path(1, "compiled")
        return found
    level = logging.INFO if found.expected else logging.WARNING
    log.log(level, "packet_path.chosen", extra={"path": "python", "reason": found.reason})
    metrics.set_packet_path(1, "python")
    return None
