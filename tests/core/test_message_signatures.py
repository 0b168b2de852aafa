"""The base and the input of HTTP Message Signatures are those of RFC 9421, to the byte."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from simulator.core.keys import Algorithm, signing
from simulator.core.message_signatures import (
    ALGORITHMS,
    DERIVED,
    check_components,
    check_parameters,
    signature_base,
    signature_input,
)
from simulator.core.omit import OMIT
from simulator.core.places import nowhere

# RFC 9421 appendix B.2: the test request
URL = "https://example.com/foo?param=Value&Pet=dog"
HEADERS = (
    (b"Host", b"example.com"),
    (b"Date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"18"),
)
SHARED = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
SEED = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
EDWARDS = f"-----BEGIN PRIVATE KEY-----\n{SEED}\n-----END PRIVATE KEY-----"


def component(name: str, url: str = URL, *headers: tuple[bytes, bytes], method: str = "POST") -> str:
    """The value that one component has."""
    base = signature_base([name], "()", method, url, headers).decode()
    line, last = base.split("\n")
    assert last == '"@signature-params": ()'
    return line.removeprefix(f'"{name}": ')


@pytest.mark.parametrize(
    ("algorithm", "key", "keyid", "components", "signature"),
    [
        (  # B.2.5
            Algorithm("hmac", "sha256"),
            SHARED,
            "test-shared-secret",
            ["date", "@authority", "content-type"],
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
        ),
        (  # B.2.6
            Algorithm("eddsa", "ed25519"),
            EDWARDS,
            "test-key-ed25519",
            ["date", "@method", "@path", "@authority", "content-type", "content-length"],
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
    ],
)
def test_the_rfcs_own_signatures_come_out(
    algorithm: Algorithm, key: str, keyid: str, components: list[str], signature: str
) -> None:
    signed = signature_input(components, {"created": 1618884473, "keyid": keyid})
    base = signature_base(components, signed, "POST", URL, HEADERS)
    assert base64.b64encode(signing(algorithm, key, "base64")(base)).decode() == signature
    assert not base.endswith(b"\n")


@pytest.mark.parametrize(
    ("name", "url", "value"),
    [
        ("@method", URL, "POST"),
        ("@target-uri", URL, URL),
        ("@target-uri", "http://A.test", "http://A.test/"),
        ("@authority", "http://A.Test:8080/x", "a.test:8080"),
        ("@authority", "http://a.test:80/x", "a.test"),
        ("@authority", "https://a.test:443", "a.test"),
        ("@authority", "https://a.test:80/", "a.test:80"),
        ("@authority", "http://me:pass@a.test/", "a.test"),
        ("@authority", "http://[::1]:9000/", "[::1]:9000"),
        ("@scheme", "HTTPS://a.test/", "https"),
        ("@request-target", URL, "/foo?param=Value&Pet=dog"),
        ("@path", "http://a.test", "/"),
        ("@path", "http://a.test/a%20b?x", "/a%20b"),
        ("@query", URL, "?param=Value&Pet=dog"),
        ("@query", "http://a.test/?", "?"),
        ("@query", "http://a.test/", "?"),
    ],
)
def test_derived_components(name: str, url: str, value: str) -> None:
    """RFC 9421 section 2.2."""
    assert component(name, url) == value


def test_lines_of_one_field_are_trimmed_and_joined() -> None:
    """RFC 9421 section 2.1."""
    lines = ((b"X-A", b"  one "), (b"x-b", b"other"), (b"x-a", b"two\t"), (b"X-Empty", b""))
    assert component("x-a", URL, *lines) == "one, two"
    assert component("x-empty", URL, *lines) == ""


def test_a_covered_field_that_is_not_sent_is_an_error() -> None:
    with pytest.raises(ValueError, match="date is covered by the signature, and the webhook has no such header"):
        component("date")


def test_a_url_without_scheme_has_no_components() -> None:
    with pytest.raises(ValueError, match="'/hook' is no absolute URL"):
        component("@path", "/hook")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, '("@method" "date")'),
        ({"created": 1, "keyid": "a", "alg": "ed25519"}, '("@method" "date");created=1;keyid="a";alg="ed25519"'),
        ({"nonce": 'a"\\b', "expires": -1}, '("@method" "date");nonce="a\\"\\\\b";expires=-1'),
        ({"x": True, "y": False}, '("@method" "date");x;y=?0'),
        ({"keyid": OMIT, "tag": None, "created": 0}, '("@method" "date");created=0'),
    ],
)
def test_parameters_are_structured_fields_in_their_order(parameters: dict[str, Any], text: str) -> None:
    assert signature_input(["@method", "date"], parameters) == text


@pytest.mark.parametrize("value", [1.5, "é", "a\nb", [1]])
def test_a_parameter_that_no_structured_field_holds_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="the parameter nonce is a whole number, true, or a text of visible ASCII"):
        signature_input([], {"nonce": value})


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ([*DERIVED, "content-digest", "x_y"], []),
        ([], []),
        (["date", "date"], ["<text>: 1: date is covered twice"]),
        (["@methd"], ["did you mean '@method'?"]),
        (["@signature-params"], ["no component '@signature-params'"]),
        (["Date"], ["'Date' is no field name in lower case"]),
        (["a b", ""], ["'a b' is no field name", "'' is no field name"]),
    ],
)
def test_components_are_checked_when_the_scenario_is_loaded(components: list[str], said: list[str]) -> None:
    place = nowhere()
    check_components(components, place)
    assert len(place.complaints) == len(said)
    for complaint, part in zip(place.complaints, said, strict=True):
        assert part in str(complaint)


def test_names_of_parameters_are_checked_when_the_scenario_is_loaded() -> None:
    place = nowhere()
    check_parameters(["created", "*x", "Keyid", "a b", ""], place)
    assert [complaint.what.split(" is ")[0] for complaint in place.complaints] == [
        "Keyid: 'Keyid'",
        "a b: 'a b'",
        ": ''",
    ]


def test_each_algorithm_has_one_registered_name() -> None:
    assert len(set(ALGORITHMS.values())) == len(ALGORITHMS)
