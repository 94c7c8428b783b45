"""The formula of the signature against published vectors of HMAC-SHA256, openssl, and a value worked out apart."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest

from tests.venue.oracles.signing import hmac_sha256, sign

# RFC 4231, test cases 1, 2, 3 and 6: key, data, HMAC-SHA-256.
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]

MESSAGES = [
    ("2020-12-08T09:08:57.715Z", "GET", "/api/v5/account/balance?ccy=BTC", ""),
    ("2026-01-02T03:04:05.678Z", "POST", "/api/v5/trade/order", '{"instId": "BTC-USDT-SWAP",  "sz":"1"}'),
    ("2026-01-02T03:04:05.678Z", "GET", "/api/v5/account/positions?instType=SWAP&instId=BTC-USDT-SWAP", ""),
]


@pytest.mark.parametrize(("key", "message", "digest"), RFC_4231)
def test_the_published_vectors_of_hmac(key, message, digest):
    assert hmac_sha256(key, message).hex() == digest


@pytest.mark.parametrize("parts", MESSAGES)
def test_openssl_says_the_same(parts):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = ["openssl", "dgst", "-sha256", "-hmac", "22582BD0CFF14C41EDBF1AB98506286D", "-binary"]
    said = subprocess.run(command, input="".join(parts).encode(), capture_output=True, check=True).stdout
    assert sign("22582BD0CFF14C41EDBF1AB98506286D", *parts) == base64.b64encode(said).decode()
