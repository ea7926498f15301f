"""One bridge process: all its calls, the task that runs each, the 20 ms clock."""
