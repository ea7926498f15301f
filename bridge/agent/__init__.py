"""What speaks for a line by itself: turn taking, the providers of speech and thought, the talk."""
