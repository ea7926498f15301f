"""Buffers on the way of the audio: reordering, jitter buffer (`playout`), pacing, framing, packetizing.

Queues of WebSockets are in `legs`.
"""
