"""HTTP and WebSockets: parse the request, ask a service of the node, render the answer; one declaration for each operation.

What is decided about a call is in `node` and `call`. Here lie the lists of all routes, and what passes requests to the
node that has the call; the routes are in the folders, a vendor's in `faces`.
"""
