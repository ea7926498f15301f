"""A WebRTC peer without RTCPeerConnection: ICE, DTLS, RTP session. Alone knows aiortc and aioice."""
