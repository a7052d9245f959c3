"""What must not be read, and how it is kept from being read."""
