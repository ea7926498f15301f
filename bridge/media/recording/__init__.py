"""Recordings on disk and in storage: files, copies, repair, upload, deletion after `kept_days`.

What is recorded, and when, is decided in `node.recording`; the rows are in `stores.recordings`.
"""
