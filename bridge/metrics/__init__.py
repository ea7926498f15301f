"""What one node counts, for Prometheus: the metrics by subject, and the series they are made of.

Values are counted where they arise; `/metrics` is served by `api.operations.scrape`.
"""
