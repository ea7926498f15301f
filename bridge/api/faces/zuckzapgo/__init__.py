"""The face of one vendor: zuckzapgo."""
