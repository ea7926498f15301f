"""Decoding and encoding of files in a child process with limits of memory and CPU time."""
