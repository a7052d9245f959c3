"""The use cases, the conductor and the timekeeper, over ports that others implement."""
