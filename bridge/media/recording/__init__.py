"""Recordings on disk and in storage: files, rows, copies, repair, upload, search.

What is recorded, and when, is decided in `node.recording`.
"""
