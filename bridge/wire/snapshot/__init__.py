"""Snapshots: what a live peer is made of, as data that another process of the same machine goes on from.

Times are of CLOCK_MONOTONIC, which is the same in all processes of a machine.
"""
