"""Delivery of events to customers' servers: queue, retries, signatures.

The rows of endpoints and deliveries are in `stores`, the format of each vendor in `wire.webhook`.
"""
