"""A small router to talk to, and the tour that uses it."""
