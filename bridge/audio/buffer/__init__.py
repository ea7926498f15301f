"""Buffers on the way of the audio: reordering, jitter buffer (`playout`), pacing, framing, packetizing.

What a stream's server sends is played from `paced`; the queues of messages to WebSockets are in `legs`.
"""
