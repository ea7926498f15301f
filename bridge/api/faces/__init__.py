"""Faces: one documented HTTP surface of a vendor each, a thin presenter over the call service."""
