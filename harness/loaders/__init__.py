"""Rows of a benchmark: where they are found, how they are read, and the rules that make them uniform."""
