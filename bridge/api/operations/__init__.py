"""Routes for operators and their programs: probes, metrics, nodes, drain, console, and the page."""
