"""What is said to those whose calls a drain ends, out of the settings."""

from bridge.app.foundation import Foundation
from bridge.node.calls.drain_announcement import DrainAnnouncement
from bridge.node.calls.playback import Playbacks


def build_announcer(base: Foundation, playbacks: Playbacks) -> DrainAnnouncement:
    """Return what tells the parties."""
    name = base.settings.calls.drain_announcement
    path = base.settings.media_root / name if name else None
    return DrainAnnouncement(base.manager, playbacks, path)
