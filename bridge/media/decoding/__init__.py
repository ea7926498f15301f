"""Decoding and encoding of audio files in a child process with limits of memory and CPU time.

Codecs of packets are in `audio.codec`.
"""
