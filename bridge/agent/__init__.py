"""Voice agents: turn detection, speech and language providers, speech output."""
