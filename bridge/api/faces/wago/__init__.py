"""The face of one vendor: wago."""
