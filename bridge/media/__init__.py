"""Files and their storage: sounds, assets, disk space, folders of machines, voicemail's rows, and connections of streams.

Recordings and decoding have folders of their own; what a live call does with files is in `node`.
"""
