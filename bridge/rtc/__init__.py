"""A WebRTC peer without RTCPeerConnection: ICE, DTLS, SRTP, sockets, the compiled packet path; and plain RTP for telephones.

The only package that imports aiortc or aioice. Streams of RTP are in `rtp`, session descriptions in `wire.sdp`.
"""
