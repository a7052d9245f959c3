"""The workflow language and the life of an execution: values and decisions only; no I/O, no clock, no async."""
