"""Wakes up whoever can carry out a step."""
