"""Risk: a secret is readable in a log or an answer: escaped, encoded, overlapping another, or cut in two by the network."""

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepswitch.domain.secrecy import CUT, MASK
from stepswitch.secrets.masking import KEPT, PART_SHORTEST, Masking, forms

LETTERS = st.characters(exclude_characters="*")
SECRETS = st.text(LETTERS, min_size=4, max_size=24)
AROUND = st.text(LETTERS, max_size=12)
TRICKY = 'it\'s "50%" <b>&\\é/ü+\n\x00😀'


def mask(secrets: list[str], text: str) -> str:
    return Masking().masker(secrets)(text)


@given(AROUND, SECRETS, AROUND)
def test_a_secret_never_stays(before: str, secret: str, after: str) -> None:
    assert secret not in mask([secret], before + secret + after)


@given(st.lists(SECRETS, min_size=1, max_size=4), st.data())
def test_none_of_several_secrets_stays_even_where_they_overlap(secrets: list[str], data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.one_of(st.sampled_from(secrets), AROUND), max_size=6))
    text = "".join(pieces)
    masked = mask(secrets, text)
    assert not [secret for secret in secrets if secret in masked]


@given(SECRETS)
@example(TRICKY)
def test_no_escaped_form_stays(secret: str) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    escaped = {
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(json.dumps(secret)),
        json.dumps(secret).replace("/", "\\/"),
        quote(data),
        quote(data, safe=""),
        quote_plus(data),
        data.hex(),
        data.hex().upper(),
        shlex.quote(secret),
        html.escape(secret),
        html.escape(secret, quote=False),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
    }
    for text in escaped:
        masked = mask([secret], f"say: {text}.")
        assert MASK in masked
        assert text not in masked
        assert len(masked) <= len("say: .") + len(MASK) + len(r'"\"\""'), masked


@given(st.binary(max_size=7), SECRETS, st.binary(max_size=7), st.booleans())
def test_base64_of_a_longer_text_hides_the_secret_at_every_alignment(before: bytes, secret: str, after: bytes, urlsafe: bool) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    encoded = encode(before + data + after).decode()
    masked = mask([secret], encoded)
    assert MASK in masked
    kept_before, _, kept_after = masked.partition(MASK)
    assert len(kept_before) <= (8 * len(before) + 5) // 6
    assert len(kept_after.replace("=", "")) <= (8 * len(after) + 5) // 6


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_a_short_secret_is_not_masked_by_value(secret: str) -> None:
    assert mask([secret], "abc abc") == "abc abc"


def test_nothing_is_touched_without_an_occurrence() -> None:
    text = "show version"
    assert mask(["secret"], text) is text


def test_overlapping_secrets_leave_no_rest() -> None:
    assert mask(["abcd", "cdef"], "<abcdef>") == f"<{MASK}>"
    assert mask(["aaaa"], "<aaaaaaa>") == f"<{MASK}>"
    assert mask(["aabaa"], "<aabaaabaabaa>") == f"<{MASK}>"


def test_the_longest_secret_wins() -> None:
    assert mask(["secret", "secret-and-more"], "secret-and-more, secret") == f"{MASK}, {MASK}"


def test_each_line_of_a_private_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2E\nshort\n-----END KEY-----\n"
    assert mask([key], "line: AAAAB3NzaC1yc2E") == f"line: {MASK}"
    assert mask([key], "a short line") == "a short line"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("secret", ["a" * 200_000, "a" * 100_000 + "b" + "a" * 100_000, "ab" * 1_000, "a" * 1_000])
def test_no_secret_makes_masking_slow(secret: str) -> None:
    text = "a" * 300_000 + secret + "ab" * 150_000 + secret + "a" * 300_000
    assert secret not in mask([secret], text)


def test_each_reply_in_answers_is_a_secret() -> None:
    answers = json.dumps({"Password:": "let-me-in", r"\[confirm\]": "y", "PIN": 'a "quoted" one', "deep": ["in-a-list"]})
    text = f'{answers}; typed let-me-in, then a "quoted" one, and {base64.b64encode(b"let-me-in").decode()}, y'
    assert mask([answers], text) == f"{MASK}; typed {MASK}, then {MASK}, and {MASK}, y"
    assert mask(["{no json let-me-in"], "let-me-in") == "let-me-in"


def test_maskers_are_kept_within_bounds() -> None:
    masking = Masking()
    first = masking.masker(["secret-0"])
    assert masking.masker(["secret-0"]) is first
    for number in range(KEPT + 1):
        masking.masker([f"secret-{number}"])
    assert len(masking._kept) == KEPT
    masking.masker(["x" * 100_000])
    assert len(masking._kept) == KEPT


@pytest.mark.parametrize(
    "escaped",
    [
        "Zq7!xW9%23kLm2",
        "Zq7!xW9#kLm2",
        "Zq7%21xW9%23kLm2",
        "Zq7%21xW9%23kLm2".lower().replace("zq7", "Zq7").replace("xw9", "xW9").replace("klm2", "kLm2"),
    ],
)
def test_what_scripts_escape_for_addresses_is_masked(escaped: str) -> None:
    assert "kLm2" not in Masking().masker(["Zq7!xW9#kLm2"])(f"http://192.0.2.1/?p={escaped}&x=1")


# pragma: allowlist nextline secret
@pytest.mark.parametrize("escaped", ["aPxudGVyIDIvMisy", "68FC6E74657220322F322B32", "h%FCnter%202/2+2", "h%FCnter%202%2F2%2B2"])
def test_what_scripts_make_of_the_bytes_of_latin_1_is_masked(escaped: str) -> None:
    assert Masking().masker(["hünter 2/2+2"])(f"<{escaped}>") == "<********>"


def test_base64_of_a_longer_text_in_latin_1_hides_the_secret() -> None:
    assert "G50ZXIgMi8yKz" not in Masking().masker(["hünter 2/2+2"])("Basic dXNlcjpo/G50ZXIgMi8yKzI=")


def test_a_secret_with_blanks_around_it_is_masked_without_them() -> None:
    mask = Masking().masker(["New5ecret!Pass\n"])
    assert "New5ecret" not in mask("the password is New5ecret!Pass now")


@given(SECRETS, st.data())
@example("Zq7!xW9#kLm2 é", None)
def test_every_mixture_of_percent_escapes_is_masked(secret: str, data: st.DataObject | None) -> None:
    written = ["%{:02x}", "%{:02X}"]
    pieces = []
    for character in secret:
        wide = character.encode("utf-8", "surrogatepass")
        ways = [character, *("".join(way.format(byte) for byte in wide) for way in written), *(["+"] if character == " " else [])]
        pieces.append(ways[2] if data is None else data.draw(st.sampled_from(ways)))
    if "+" in pieces and any(piece in {" ", "%20"} for piece in pieces):
        return  # nobody writes both in one text
    assert mask([secret], f"?p={''.join(pieces)}&x=50%") == f"?p={MASK}&x=50%"


@pytest.mark.timeout(20)
def test_escapes_do_not_make_masking_slow() -> None:
    text = "%41é" * 100_000
    assert mask(["secret", "A" * 50_000 + "b"], text) == text


@given(st.text(st.characters(exclude_characters=f"*{CUT}"), min_size=4, max_size=24), AROUND, AROUND, st.data())
def test_of_a_form_that_is_cut_in_two_no_more_than_one_character_is_shown(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from([form.text for form in forms([secret])]))
    place = data.draw(st.integers(1, len(form) - 1))
    first, second = mask([secret], before + form[:place] + CUT), mask([secret], CUT + form[place:] + after)
    if place >= PART_SHORTEST:
        assert first.endswith(MASK + CUT)
    if len(form) - place >= PART_SHORTEST:
        assert second.startswith(CUT + MASK)


def test_a_piece_out_of_the_middle_of_a_secret_is_masked() -> None:
    assert mask(["0123456789"], f"{CUT}3456{CUT}") == CUT + MASK + CUT
    assert mask(["0123456789"], f"{CUT}3457{CUT}") == f"{CUT}3457{CUT}"


def test_what_only_looks_like_a_cut_is_left_alone() -> None:
    assert mask(["hunter22"], f"loading{CUT} done") == f"loading{CUT} done"


@pytest.mark.timeout(20)
def test_cuts_do_not_make_masking_slow() -> None:
    key = "\n".join(f"{number:064d}" for number in range(50))
    mask([key, "a" * 200_000 + "b"], (CUT + "0" * 8) * 50_000 + "a" * 100_000 + "x" + CUT)
