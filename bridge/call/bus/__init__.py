"""The PCM bus of a call: what its parties send and hear in each frame.

Which party hears which is decided in `call.routing`, and when a frame is due by `node.clock`.
"""
