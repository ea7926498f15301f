"""Audio in memory: frames, mixing, tones, and in the folders codecs, buffers, detectors, file formats. Pure: no clock, no I/O.

Packets are in `wire.rtp` and `rtp`; who hears whom is decided in `call.routing`.
"""
