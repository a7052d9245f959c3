"""One spelling for one JSON value, so that equal content has equal hashes. Called wherever content names a thing."""

import json


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys and without blanks; any text survives, lone surrogates too."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
