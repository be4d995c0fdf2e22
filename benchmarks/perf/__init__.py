"""Performance benchmarks: each against its peers in one interleaved run."""
