"""RTP, RTCP and telephone events of one audio session, without a transport: no sockets, no clock, no waiting."""
