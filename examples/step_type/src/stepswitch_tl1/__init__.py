"""The step type TL1 for Stepswitch: commands to network elements that speak Transaction Language 1 (GR-831)."""
