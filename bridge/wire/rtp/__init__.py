"""RTP and RTCP: packets, reports, redundancy, telephone events, and the numbering of an outgoing stream."""
