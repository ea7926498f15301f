"""The nodes of one bridge: leases, membership, failure detector, recovery, placement, the directory of calls, requests between nodes.

Every duration of it is in `timing`. Starting and stopping the processes of one host is the business of `supervisor`; what a node does with its calls, that of `node`.
"""
