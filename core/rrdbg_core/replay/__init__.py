"""Record, replay, verify and seek."""
