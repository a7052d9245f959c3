"""Every store, and all SQL."""
