"""What operators see of all nodes: live calls, lines, services, and how it is gathered.

The routes and the page are in `api.operations`.
"""
