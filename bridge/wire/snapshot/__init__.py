"""Snapshots: what a live peer is made of, as data that another process of the same machine goes on from.

How a peer is made of it is in `rtc` and `rtp`. Times are of CLOCK_MONOTONIC, which is the same in all processes of a machine.
"""
