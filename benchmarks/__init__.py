"""Measures the service beside what the same machine gives in the same run to much simpler things. Run with `make bench`."""
