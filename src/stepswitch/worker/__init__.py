"""Carries out one attempt at a step."""
