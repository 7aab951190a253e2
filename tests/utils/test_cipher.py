"""Keys do not show their secrets, and decrypt what they have encrypted and nothing else."""

import base64
import re

import pytest

from eventsourcing.exceptions import DecodeError, ProgrammingError
from eventsourcing.utils.cipher import CipherKey, Keyring, framed

SECRET = bytes(range(32))
KEY = CipherKey("2026a", SECRET)
OTHER = CipherKey("2026b", SECRET[::-1])


def test_a_key_decrypts_what_it_has_encrypted() -> None:
    assert KEY.decrypt(KEY.encrypt(b"data", b"place"), b"place") == b"data"


@pytest.mark.parametrize(
    ("key", "place"), [(OTHER, b"place"), (KEY, b"elsewhere"), (KEY, b"")], ids=str
)
def test_another_key_or_place_is_refused(key: CipherKey, place: bytes) -> None:
    encrypted = KEY.encrypt(b"data", b"place")

    with pytest.raises(DecodeError, match=key.id):
        key.decrypt(encrypted, place)


@pytest.mark.parametrize("length", range(30))
def test_what_is_too_short_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        KEY.decrypt(KEY.encrypt(b"data", b"")[:length], b"")


def test_new_keys_have_ids_and_secrets_of_their_own() -> None:
    keys = [CipherKey.new() for _ in range(20)]

    assert len({key.secret for key in keys}) == 20
    assert all(re.fullmatch(r"\d{8}-[0-9a-f]{4}", key.id) for key in keys)
    assert CipherKey.new("mine").id == "mine"


def test_a_key_comes_back_from_its_text() -> None:
    key = CipherKey.new()

    assert CipherKey.from_text(key.text) == key


def test_a_mistyped_text_is_refused_and_not_shown() -> None:
    text = KEY.text
    for at, character in enumerate(text):
        wrong = text[:at] + ("A" if character != "A" else "B") + text[at + 1 :]

        with pytest.raises(ProgrammingError) as caught:
            CipherKey.from_text(wrong)

        assert wrong[-30:-5] not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "text", ["", "key", ":", "a:b", KEY.text + "A", "a b:" + "A" * 48, None, b""]
)
def test_what_is_no_key_is_refused(text: object) -> None:
    with pytest.raises(ProgrammingError):
        CipherKey.from_text(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key_id", "secret"),
    [
        ("", SECRET),
        ("a:b", SECRET),
        ("a" * 65, SECRET),
        ("a\n", SECRET),
        ("a", SECRET[1:]),
        ("a", "x"),
    ],
)
def test_ids_and_secrets_of_another_form_are_refused(key_id: str, secret: bytes) -> None:
    with pytest.raises(ProgrammingError):
        CipherKey(key_id, secret)


def test_neither_keys_nor_keyrings_show_a_secret() -> None:
    ring = Keyring(KEY, OTHER)

    shown = f"{KEY!r} {KEY} {ring!r} {ring} {vars(ring)}"

    assert repr(ring) == "Keyring('2026a', '2026b')"
    for secret in (SECRET, OTHER.secret):
        for form in (repr(secret), secret.hex(), base64.b64encode(secret).decode()[:40]):
            assert form not in shown


@pytest.mark.parametrize("separator", [" ", ",", "\n", ", ", " ,\n"])
def test_a_keyring_comes_back_from_the_texts_of_its_keys(separator: str) -> None:
    ring = Keyring.from_text(f" {OTHER.text}{separator}{KEY.text}\n")

    assert (ring.current, list(ring)) == (OTHER, [OTHER, KEY])
    assert (ring.get("2026a"), ring.get("2026c")) == (KEY, None)


def test_a_keyring_has_one_key_of_an_id() -> None:
    with pytest.raises(ProgrammingError, match="two keys"):
        Keyring(KEY, CipherKey("2026a", OTHER.secret))


@pytest.mark.parametrize("text", ["", " ", ",", "x", None, 1])
def test_what_is_no_keyring_is_refused(text: object) -> None:
    with pytest.raises(ProgrammingError):
        Keyring.from_text(text)  # type: ignore[arg-type]


def test_framed_parts_are_not_mistaken_for_others() -> None:
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]

    assert len({framed(*each) for each in parts}) == len(parts)
