"""What one node counts, for Prometheus."""
