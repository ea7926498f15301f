"""Passing the connections of a live peer to another process of the machine, and taking them there.

The data is in `wire.snapshot`; which calls pass, and when, is decided in `node.handover` and `cluster.handover`.
"""
