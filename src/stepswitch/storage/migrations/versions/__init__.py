"""The steps. A step first expands; what it replaces is taken away a release later."""
