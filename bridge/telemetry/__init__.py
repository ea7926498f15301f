"""One trace per call: its spans, and their export to an OpenTelemetry collector.

Requests made for a call are spans of `trace.Tracer`; all other spans are made from the call's events and record (`observer`).
Only `otlp` imports OpenTelemetry's SDK, and only a bridge with `telemetry.endpoint` imports `otlp`. Spans contain no telephone
numbers, names, digits or speech.
"""
