"""Codecs: Opus by libopus, G.711, G.722, conversion of rates, encoder levels.

No RTP: that is in `rtp` and `wire.rtp`.
"""
