"""Sound that is no party's: playback, recordings, and streams to customers' servers."""
