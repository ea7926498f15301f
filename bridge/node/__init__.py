"""One bridge process: all its calls, the task that runs each, the 20 ms clock, lines, load, drain.

The services on calls are in the folders, by subject. A call's own state is in `call`, other nodes are in `cluster`.
"""
