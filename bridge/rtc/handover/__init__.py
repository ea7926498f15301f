"""Passing the connections of a live peer to another process of the machine, and taking them there."""
