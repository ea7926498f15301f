"""Routes for operators and their programs: health, metrics, nodes, drain, console, the page, and SIP between nodes.

Commands of the command line are in `cli`.
"""
