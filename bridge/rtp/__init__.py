"""RTP, RTCP and telephone events of one audio session: receiver, sender, reports, without a transport. Pure.

The packets' formats are in `wire.rtp`, sockets and keys in `rtc`.
"""
