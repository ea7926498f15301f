"""Audio files, recordings and their storage, and streams to customers' servers."""
