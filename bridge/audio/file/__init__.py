"""Formats of audio files: WAV, Ogg/Opus, and tracks assembled from frames or packets.

Nothing is opened here: files are written by `legs.recording` and read by `media`.
"""
