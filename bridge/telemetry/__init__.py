"""One trace per call: its spans, what is observed of a call, and what exports them to an OpenTelemetry collector.

Who makes a request for a call asks `trace.Tracer`; the rest is observed from outside (`observer`). Only `otlp` imports
OpenTelemetry's SDK, and only a bridge with `telemetry.endpoint` imports `otlp`. No span has a number, a name, a digit or a word.
"""
