"""Where an inventory comes from beside the API: a file."""
