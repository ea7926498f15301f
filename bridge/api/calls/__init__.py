"""Routes of calls: dialling, answering, parties, list, history, diagnosis, reports."""
