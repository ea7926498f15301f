"""The face of one vendor: wavix."""
