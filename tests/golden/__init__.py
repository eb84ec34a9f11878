"""Golden traces: recordings of every format and machine version, kept under traces/."""
