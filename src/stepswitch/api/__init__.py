"""HTTP: JSON to values and back; no decisions."""
