"""RTP, RTCP and telephone events of one audio session, without a transport."""
