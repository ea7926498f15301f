"""Routes of events: the event stream, and webhook endpoints with what they did not take.

How events are delivered is in `webhooks`, how they are kept in `stores`.
"""
