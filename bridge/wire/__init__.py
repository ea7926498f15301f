"""Parsers and serializers of the wire formats: SDP, RTP, RTCP, vendor messages. Pure."""
