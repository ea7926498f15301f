"""The face of one vendor: chirp."""
