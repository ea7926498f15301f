"""What is kept of a call once it has ended, and its quality over time."""
