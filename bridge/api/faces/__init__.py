"""Faces: one vendor's documented HTTP surface in each folder, a thin presenter over the services that all share.

A face knows no other face; what several of them stand on is in `api.server`, or beside the native routes.
"""
