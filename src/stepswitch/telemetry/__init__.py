"""The logs of the service itself."""
