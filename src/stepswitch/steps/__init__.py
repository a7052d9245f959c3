"""The built-in step types; each imports only `stepswitch.plugin` and its driver."""
