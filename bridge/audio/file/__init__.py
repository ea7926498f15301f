"""Files of recordings as they are written: WAV, Ogg/Opus, tracks assembled from frames or packets. Nothing is opened here."""
