"""The trace file: chunks, journal, snapshots, digests, index."""
