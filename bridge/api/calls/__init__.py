"""Routes of calls: dialling, answering, parties, list, history, diagnosis, reports.

A call's audio is in `api.media`, a vendor's own routes in `api.faces`.
"""
