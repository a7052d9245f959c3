"""What a token can look like that is sent in a header. Asked by `vault` and `kubernetes`."""


def can_be_sent(token: str) -> bool:
    """Return whether a token can stand in a header: whoever tries to send another one says so, and shows it."""
    return token.isascii() and token.isprintable()
