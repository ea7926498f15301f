"""Arithmetic on sound: codecs, levels, buffers, mixing, quality. Pure: no clock, no I/O."""
