"""The face of one vendor: wadial."""
