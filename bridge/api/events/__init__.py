"""Routes of events: the stream, and webhook endpoints."""
