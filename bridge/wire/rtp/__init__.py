"""RTP and RTCP: packets, reports, redundancy, telephone events, and the numbering of an outgoing stream.

What a session does with them is in `rtp`.
"""
