"""Formats of the outside world, bytes and text to values and back: SDP, RTP, RTCP. Pure."""
