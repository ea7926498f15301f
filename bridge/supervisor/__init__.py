"""The supervisor of several nodes: opens the listening sockets, starts, restarts and replaces the nodes.

All nodes accept from the same queue, so a busy node accepts less (with SO_REUSEPORT the kernel would
also distribute connections to a busy or dying node). Nodes are new interpreters instead of forks, so
that no thread or lock is copied in mid-state. Messages (`bridge.wire.supervision`) go to a node over its
standard input, which keeps secrets off the command line; its end tells the node that the supervisor is
gone. Over a second pipe each node sends heartbeats and how many calls it has; a stuck node is killed and
restarted. One more interpreter waits for the place of a node that dies (`spare`).
"""
