"""One kind of party a file, each a source and a sink for the bus; none knows another."""
