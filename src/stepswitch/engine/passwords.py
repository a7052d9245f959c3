"""What a password may not be. Called by `users` where people choose one; how passwords are stored is the business of `access`."""

from typing import Final

SHORTEST: Final = 12
LONGEST: Final = 1_024
FEWEST_DIFFERENT: Final = 4
_COMMON: Final = frozenset(
    {
        "password", "passwort", "qwertyuiop", "qwerty", "administrator", "admin", "welcome", "letmein", "iloveyou", "changeme", "changeit",
        "default", "secret", "stepswitch", "telco", "vmware", "abcdefghijkl", "asdfghjkl", "zxcvbnm", "monkey", "dragon", "football",
    }
)  # fmt: skip
"""Words which, alone, doubled or with digits and signs around them, are what is tried first."""


def password_fault(user: str, password: str) -> str | None:
    """Return why `password` cannot be the password of `user`, in words that do not repeat it; None where it can."""
    if len(password) < SHORTEST:
        return f"is to have at least {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"is to have at most {LONGEST} characters"
    folded = password.casefold()
    if folded.strip() == user.casefold():
        return "is the name of the user"
    letters = "".join(character for character in folded if character.isalpha())
    counts = folded in "01234567890123456789098765432109876543210"
    if len(set(folded)) < FEWEST_DIFFERENT or counts or any(letters in (word, word * 2) for word in _COMMON):
        return "is one of those that are tried first: a common word, a row of digits, or few characters repeated"
    return None
