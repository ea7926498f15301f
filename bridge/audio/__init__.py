"""Audio processing: codecs, levels, buffers, mixing, quality. Pure: no clock, no I/O."""
