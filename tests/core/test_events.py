"""What the journal keeps can be read again, is bounded, and gives no credential away."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.events import (
    BODY_BYTES_KEPT,
    KINDS,
    NAMES,
    PLAIN_FIELDS,
    SECRET_HEADERS,
    ControlChanged,
    Event,
    ExchangeEnded,
    TokenChanged,
    as_dict,
    decode,
    digest_of,
    encode,
)

KEY = b"k" * 32
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
NUMBERS = st.integers(0, 2**53)
HEADERS = st.lists(st.tuples(st.sampled_from([b"Host", b"X-\xe9"]), st.binary(max_size=10)), max_size=4)

FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    int: NUMBERS,
    str: TEXTS,
    float: st.floats(0, 1e5),
    float | None: st.none() | st.floats(0, 1),
    int | None: st.none() | NUMBERS,
    str | None: st.none() | TEXTS,
}
OTHERS: dict[type[Any], st.SearchStrategy[Any]] = {
    kind: st.builds(kind, **{name: FIELDS[hint] for name, hint in get_type_hints(kind).items()})
    for kind in KINDS.values()
    if kind not in (ExchangeEnded, TokenChanged)
}


def exchange(**changes: Any) -> ExchangeEnded:
    plain: list[Any] = [
        *[1, 2, "d", "req_1", "peer:1", 1, 1, 3, 4, 5, "GET", "/a", [(b"A", b"b")], b"{}", 2, "GET /a", None],
        *[1, 1, 200, [(b"C", b"d")], b"[]", 2, True, (("shop.order", "o1", 1),), None, None, ("o1",), "", None],
    ]
    return ExchangeEnded(*plain)._replace(**changes)


EXCHANGES = st.fixed_dictionaries(
    {"at_ms": NUMBERS, "target": TEXTS, "committed": st.booleans(), "operation": st.none() | TEXTS},
    optional={
        **dict.fromkeys(("headers", "reply_headers"), HEADERS),
        **dict.fromkeys(("body", "reply_body"), st.binary(max_size=20)),
    },
).map(lambda changes: exchange(**changes))


def kept(event: Event) -> bytes:
    return encode([event], KEY)


def test_every_kind_of_event_has_one_name() -> None:
    assert set(KINDS.values()) == set(get_args(Event))
    assert {NAMES[made]: made for made in NAMES} == KINDS


@pytest.mark.parametrize("kind", OTHERS)
@given(data=st.data())
def test_every_kind_of_event_is_read_as_it_was_written(kind: type[Event], data: Any) -> None:
    events = data.draw(st.lists(OTHERS[kind], max_size=3))
    read = decode(encode(events, KEY))
    assert read == events
    assert all(type(event) is kind for event in read)


@given(EXCHANGES)
def test_an_exchange_is_read_with_its_headers_and_bodies_as_text(event: ExchangeEnded) -> None:
    (read,) = decode(kept(event))
    assert isinstance(read, ExchangeEnded)
    for field in ("headers", "reply_headers"):
        assert getattr(read, field) == [[part.decode("latin-1") for part in pair] for pair in getattr(event, field)]
    for field in ("body", "reply_body"):
        assert getattr(read, field) == getattr(event, field).decode("utf-8", "replace")
    changed = ("headers", "body", "reply_headers", "reply_body", "records", "items", "nearest", "secrets", "places")
    assert all(a == b for name, a, b in zip(event._fields, event, read, strict=True) if name not in changed)


def test_records_and_items_of_an_exchange_are_kept() -> None:
    (read,) = decode(kept(exchange()))
    assert isinstance(read, ExchangeEnded)
    assert (list(map(list, read.records)), list(read.items)) == ([["shop.order", "o1", 1]], ["o1"])


@pytest.mark.parametrize("name", sorted(SECRET_HEADERS))
@pytest.mark.parametrize("side", ["headers", "reply_headers"])
def test_a_credential_is_kept_only_as_a_digest(name: bytes, side: str) -> None:
    secret = b"Bearer hunter2-hunter2"
    for spelt in (name, name.upper(), name.title()):
        blob = kept(exchange(**{side: [(spelt, secret), (b"X-Plain", b"seen")]}))
        assert b"hunter2" not in blob
        assert digest_of(secret, KEY).encode() in blob
        assert b"seen" in blob


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_equal_credentials_have_equal_digests_and_others_have_not(one: bytes, other: bytes) -> None:
    assert (digest_of(one, KEY) == digest_of(other, KEY)) == (one == other)
    assert digest_of(one, KEY) != digest_of(one, b"another key")
    assert len(digest_of(one, KEY)) == len("digest:") + 24


def test_a_digest_without_the_key_cannot_be_compared() -> None:
    read = [decode(encode([exchange(headers=[(b"Authorization", b"a")])], key))[0] for key in (KEY, b"other")]
    assert read[0] != read[1]


@pytest.mark.parametrize("field", ["body", "reply_body"])
@pytest.mark.parametrize("letter", ["a", "é", "€"])
def test_a_body_is_kept_up_to_a_bound(field: str, letter: str) -> None:
    (read,) = decode(kept(exchange(**{field: letter.encode() * 100_000})))
    text = getattr(read, field)
    assert text.rstrip("�") == letter * (BODY_BYTES_KEPT // len(letter.encode()))
    assert len(kept(exchange(**{field: b"a" * 10**6}))) < BODY_BYTES_KEPT + 1000


def test_a_body_of_any_bytes_is_kept_as_text() -> None:
    (read,) = decode(kept(exchange(body=bytes(range(256)))))
    assert isinstance(read, ExchangeEnded)
    assert str(read.body).startswith("\0\1\2")


def test_an_event_for_people_has_its_number_and_kind() -> None:
    event = ControlChanged(1, 2, "reset", "")
    assert as_dict(7, event) == {
        "number": 7,
        "kind": "control",
        "at_ms": 1,
        "wire_us": 2,
        "what": "reset",
        "detail": "",
    }
    assert orjson.dumps(as_dict(8, decode(kept(exchange()))[0]))


def test_an_old_journal_without_the_newest_field_can_be_read() -> None:
    ((kind, *fields),) = orjson.loads(kept(exchange(nearest=("GET /b",), cost=5)))
    (read,) = decode(orjson.dumps([[kind, *fields[: ExchangeEnded._fields.index("nearest")]]]))
    assert isinstance(read, ExchangeEnded)
    assert (read.nearest, read.cost) == ((), 0)


def test_what_few_services_tell_takes_no_room_where_it_is_not_told() -> None:
    ((_, *fields),) = orjson.loads(kept(exchange()))
    ((_, *more),) = orjson.loads(kept(exchange(key="k")))
    assert (len(fields), len(more)) == (PLAIN_FIELDS, len(ExchangeEnded._fields))
    assert decode(kept(exchange(key="k")))[0].key == "k"  # type: ignore[union-attr]


@pytest.mark.parametrize("secret", ["hunter2", "h/2 ü&", 'qu"ote', "100%"])
def test_nothing_of_a_secret_is_kept_wherever_it_stood(secret: str) -> None:
    written = [quote(secret, safe=""), quote_plus(secret), orjson.dumps(secret).decode()[1:-1]]
    event = exchange(
        target=f"/a?key={written[0]}",
        headers=[(b"X-Own", f"Key {secret}".encode("latin-1"))],
        reply_headers=[(b"X-Back", secret.encode("latin-1"))],
        body=f"client_secret={written[1]}".encode(),
        reply_body=b'{"token": "%s"}' % written[2].encode(),
        credential=secret,
        secrets=(secret,),
    )
    blob = kept(event)
    assert not [form for form in (secret, *written) if form.encode() in blob]
    (read,) = decode(blob)
    assert isinstance(read, ExchangeEnded)
    digest = digest_of(secret.encode(), KEY)
    assert [read.target, read.credential] == [f"/a?key={digest}", digest]
    assert [str(read.body), str(read.reply_body)] == [f"client_secret={digest}", f'{{"token": "{digest}"}}']


def test_a_secret_that_contains_another_goes_whole() -> None:
    (read,) = decode(kept(exchange(body=b"demo-secret", secrets=("demo", "demo-secret"))))
    assert isinstance(read, ExchangeEnded)
    assert str(read.body) == digest_of(b"demo-secret", KEY)


def test_of_a_token_only_a_digest_is_kept() -> None:
    event = TokenChanged(1, 2, "d", "issued", "access", "f1", 1, "tok_secret", "demo")
    (read,) = decode(kept(event))
    assert read == event._replace(token=digest_of(b"tok_secret", KEY))
