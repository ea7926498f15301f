"""Samples of the legs of live calls, and the diagnosis and the metrics that come from them.

What a sample means is decided in `call.diagnosis`, without a clock.
"""
