"""HTTP: parse the request, ask the node, render the answer."""
