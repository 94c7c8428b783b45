"""Ed25519 against the vectors of RFC 8032 and against openssl, and notes against the example of the form itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.v10.base.errors import EvidenceError
from prometheus.v10.evidence.witnesses import ed25519
from prometheus.v10.evidence.witnesses.signed_note import (
    COSIGNED,
    LOG,
    Signer,
    Verifier,
    check_note,
    parse_note,
    parse_signer,
    parse_verifiers,
    sign_note,
)

VECTORS = [  # RFC 8032, section 7.1: secret, public, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
        "eeb00d291612bb0c00",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
SIGNER = Signer("prometheus-quant/0123456789abcdef0123456789abcdef", bytes(range(32)))
TEXT = f"{SIGNER.name}\n7\n{'A' * 43}=\n"
TIME = 1_800_000_000


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc(secret, public, message, signature):
    seed, key, data = bytes.fromhex(secret), bytes.fromhex(public), bytes.fromhex(message)
    assert ed25519.public_key(seed) == key
    assert ed25519.sign(seed, data).hex() == signature
    assert ed25519.verify(key, data, bytes.fromhex(signature))
    assert not ed25519.verify(key, data + b"x", bytes.fromhex(signature))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 64 * 8 - 1))
def test_a_flipped_bit_is_no_signature(seed, message, bit):
    key, signature = ed25519.public_key(seed), ed25519.sign(seed, message)
    assert ed25519.verify(key, message, signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(key, message, bytes(flipped))


def test_a_signature_has_one_spelling():
    seed, message = bytes(32), b"m"
    key, signature = ed25519.public_key(seed), ed25519.sign(seed, message)
    other = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519.verify(key, message, signature[:32] + other.to_bytes(32, "little"))


@given(st.binary(max_size=40), st.binary(max_size=10), st.binary(max_size=70))
def test_bytes_of_any_kind_are_judged(key, message, signature):
    assert ed25519.verify(key, message, signature) is False


def test_openssl_agrees(tmp_path):
    """Both ways: it takes our signature, and we take the one that it makes."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    seed, message = bytes(range(1, 33)), TEXT.encode()
    key, public, data, signed = (tmp_path / name for name in ("key.der", "public.pem", "message", "signature"))
    key.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + seed)
    data.write_bytes(message)
    openssl("pkey", "-inform", "DER", "-in", key, "-pubout", "-out", public)
    signed.write_bytes(ed25519.sign(seed, message))
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", data, "-sigfile", signed)
    openssl("pkeyutl", "-sign", "-keyform", "DER", "-inkey", key, "-rawin", "-in", data, "-out", signed)
    assert ed25519.verify(ed25519.public_key(seed), message, signed.read_bytes())


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


# ---- notes -----------------------------------------------------------------------------------------------------------


def test_a_note_comes_back_signed_and_dated():
    note = parse_note(sign_note(TEXT, SIGNER, time=TIME))
    assert note.text == TEXT
    signed = check_note(note, SIGNER.verifiers())
    assert (signed.by, signed.time) == ((SIGNER.name,), TIME)


def test_the_id_of_a_key_is_the_forms_own():
    """The key of the Go checksum database, as it is published."""
    (key,) = parse_verifiers("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8\n")
    assert (key.name, key.kind, key.id.hex()) == ("sum.golang.org", LOG, "033de0ae")


def test_a_line_of_an_unknown_key_says_nothing():
    stranger = Signer("witness.example.org/w1", bytes(32))
    more = parse_note(sign_note(TEXT, stranger, time=TIME))
    both = sign_note(TEXT, SIGNER, time=TIME) + sign_note(TEXT, stranger, time=TIME).partition(b"\n\n")[2]
    assert check_note(more, SIGNER.verifiers()).by == ()
    assert check_note(parse_note(both), SIGNER.verifiers()).by == (SIGNER.name,)


def test_a_known_key_that_did_not_sign_this_is_an_error():
    data = sign_note(TEXT, SIGNER, time=TIME).replace(b"\n7\n", b"\n8\n")
    with pytest.raises(EvidenceError, match="is not right"):
        check_note(parse_note(data), SIGNER.verifiers())


def test_the_time_is_signed():
    note = parse_note(sign_note(TEXT, SIGNER, time=TIME))
    log, (name, key_id, data) = note.signatures
    later = (TIME + 1).to_bytes(8, "big") + data[8:]
    with pytest.raises(EvidenceError, match="is not right"):
        check_note(type(note)(note.text, (log, (name, key_id, later))), SIGNER.verifiers())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n\n", b"a\n", b"a\n\n", b"a\n\nb\n", b"a\n\n\xe2\x80\x94 n AAAA\n", b"a\n\n\xe2\x80\x94 n AAAAAAAA",
        b"a\x1b\n\n\xe2\x80\x94 n AAAAAAAA\n", b"\xff\n\n\xe2\x80\x94 n AAAAAAAA\n", b"a\n\n\xe2\x80\x94  AAAAAAAA\n",
        b"a\n\n" + b"\xe2\x80\x94 n AAAAAAAA\n" * 65, b"a" * 70_000 + b"\n\n\xe2\x80\x94 n AAAAAAAA\n",
        b"a\n\n\xe2\x80\x94 n+m AAAAAAAA\n", b"a\n\n\xe2\x80\x94 n A*AAAAAA\n",
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(data):
    with pytest.raises(EvidenceError, match="not a signed note"):
        parse_note(data)


def test_keys_come_back():
    assert parse_signer(SIGNER.text() + "\n") == SIGNER
    assert parse_verifiers("".join(f"{one.text()}\n" for one in SIGNER.verifiers())) == SIGNER.verifiers()
    assert [one.kind for one in SIGNER.verifiers()] == [LOG, COSIGNED]


@pytest.mark.parametrize("text", ["", "x", "a+b", "a+00000000+AAAA", SIGNER.text()[:-4], SIGNER.text() + "x"])
def test_what_is_no_key_is_refused_and_not_repeated(text):
    for parse in (parse_signer, parse_verifiers):
        if parse is parse_verifiers and not text:
            continue
        with pytest.raises(EvidenceError) as caught:
            parse(text)
        assert text[-10:] not in caught.value.message or len(text) < 4


def test_another_id_is_another_key():
    line = Verifier("n", LOG, bytes(32)).text()
    with pytest.raises(EvidenceError):
        parse_verifiers(line.replace(line.split("+")[1], "00000000"))
