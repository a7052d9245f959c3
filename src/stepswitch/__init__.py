"""Stepswitch executes telco workflows. The rooms and who may import whom: ARCHITECTURE.md."""
