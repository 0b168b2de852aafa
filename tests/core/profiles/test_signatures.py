"""Each dialect signs as its vendor's own verifier accepts: the values were taken from those."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest

from simulator.core.canonical import form_after
from simulator.core.keys import Algorithm, encoded, signing
from simulator.core.profiles.signatures import DIALECTS
from tests.core.signatures import BODY, ID, OURS, T_MS, WHSEC, WHSK, as_dict, header, sign, signer

SECRET = "s3cr3t"
FORM = ((b"Content-Type", b"application/x-www-form-urlencoded"),)
PARAMETERS = {"To": "+15551234567", "From": "+15557654321", "Body": "café"}
MAILGUN_TOKEN = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
KEY = base64.b64encode(bytes(range(32))).decode()
ALL = [
    (name, {"dialect": name, **({"secret": WHSEC} if "hmac" in compositions[0] else {"key": KEY})})
    for name, compositions in DIALECTS.items()
]


@pytest.mark.parametrize(
    ("dialect", "secret", "name", "value"),
    [
        ("standard-webhooks", WHSEC, "webhook-signature", OURS["standardwebhooks"]),
        ("svix", WHSEC, "svix-signature", OURS["standardwebhooks"]),
        ("stripe", OURS["stripe_secret"], "Stripe-Signature", OURS["stripe"]),
        ("github", SECRET, "X-Hub-Signature-256", OURS["github256"]),
        ("github", SECRET, "X-Hub-Signature", OURS["github1"]),
        ("slack", "8f742231b10e8888abcd99yyyzzz85a5", "X-Slack-Signature", OURS["slack"]),
        ("shopify", "hush", "X-Shopify-Hmac-Sha256", OURS["shopify"]),
        ("twilio-json", "twtoken", "X-Twilio-Signature", OURS["twilio_json"]),
        ("paddle", "pdl_ntfset_secret", "Paddle-Signature", OURS["paddle"]),
    ],
)
def test_the_signature_is_the_one_that_the_vendors_verifier_accepts(
    dialect: str, secret: str, name: str, value: str
) -> None:
    assert header(sign({"dialect": dialect, "secret": secret}), name) == value


def test_standard_webhooks_signs_with_ed25519_too() -> None:
    signed = sign({"dialect": "standard-webhooks-v1a", "key": WHSK})
    assert header(signed, "webhook-signature") == OURS["v1a"]


@pytest.mark.parametrize(("dialect", "prefix"), [("standard-webhooks", "webhook"), ("svix", "svix")])
def test_standard_webhooks_has_three_header_fields(dialect: str, prefix: str) -> None:
    signed = as_dict(sign({"dialect": dialect, "secret": WHSEC}))
    assert list(signed) == [f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature"]
    assert (signed[f"{prefix}-id"], signed[f"{prefix}-timestamp"]) == (ID, "1700000000")


def test_githubs_own_example_comes_out() -> None:
    signed = sign({"dialect": "github", "secret": "It's a Secret to Everybody"}, body=b"Hello, World!")
    assert header(signed, "X-Hub-Signature-256") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    assert (header(signed, "X-GitHub-Event"), header(signed, "X-GitHub-Delivery")) == ("job.completed", ID)


def test_slack_tells_the_time_in_a_field_of_its_own() -> None:
    assert header(sign({"dialect": "slack", "secret": SECRET}), "X-Slack-Request-Timestamp") == "1700000000"


def test_shopify_has_every_field_that_its_library_asks_for() -> None:
    signed = as_dict(sign({"dialect": "shopify", "secret": SECRET}))
    for name in ("Topic", "Shop-Domain", "API-Version", "Webhook-Id", "Hmac-Sha256"):
        assert signed[f"X-Shopify-{name}"]


def test_twilio_signs_the_url_and_the_sorted_form() -> None:
    body, url = urlencode(PARAMETERS).encode(), "https://example.com/hook?a=1"
    signed = sign({"dialect": "twilio", "secret": "twtoken"}, url=url, headers=FORM, body=body)
    assert header(signed, "X-Twilio-Signature") == OURS["twilio_form"]
    fragment = sign({"dialect": "twilio", "secret": "twtoken"}, url=f"{url}#rc=2", headers=FORM, body=body)
    assert header(fragment, "X-Twilio-Signature") == OURS["twilio_form"]


def test_twilio_puts_the_digest_of_json_into_the_url() -> None:
    assert sign({"dialect": "twilio-json", "secret": "twtoken"}).url == OURS["twilio_json_url"]


def test_twilios_shared_keys_sign_with_sha256_and_name_themselves() -> None:
    order = {"dialect": "twilio-shared-key", "secret": "twtoken", "key_id": "k1"}
    body, url = urlencode(PARAMETERS).encode(), "https://example.com/hook?a=1"
    signed = sign(order, url=url, headers=FORM, body=body)
    mac = signing(Algorithm("hmac", "sha256"), "twtoken", "utf8")(form_after(url.encode(), body))
    assert header(signed, "X-Twilio-Signature") == encoded(mac, "base64")
    assert header(signed, "X-Twilio-Webhooks-Signature-Settings") == "key=k1,algorithm=HMAC_SHA256"


def test_square_signs_its_notification_url_and_the_body() -> None:
    signed = sign({"dialect": "square", "secret": "sqkey"}, url="https://example.com/square")
    assert header(signed, "x-square-hmacsha256-signature") == OURS["square"]


def test_twitch_signs_id_and_time_to_the_nanosecond() -> None:
    signed = sign({"dialect": "twitch", "secret": "twitchsecret"}, id="ae2ff348")
    assert header(signed, "Twitch-Eventsub-Message-Signature") == OURS["twitch"]
    assert header(signed, "Twitch-Eventsub-Message-Timestamp") == "2023-11-14T22:13:20.000000000Z"
    assert header(signed, "Twitch-Eventsub-Message-Id") == "ae2ff348"


def test_mailgun_signs_inside_the_body() -> None:
    """The vector has its own token; the rest is the dialect's."""
    fields = {"signature.timestamp": "{{ timestamp }}", "signature.token": MAILGUN_TOKEN}
    order = {
        "dialect": "mailgun",
        "secret": "mgkey",
        "over": f"{{{{ timestamp }}}}{MAILGUN_TOKEN}",
        "body_fields": {**fields, "signature.signature": "{{ signature }}"},
    }
    signed = orjson.loads(sign(order, body=b'{"event-data":{"id":1}}').body)
    assert signed["signature"]["signature"] == OURS["mailgun"]


def test_mailguns_token_has_fifty_characters_and_is_new_with_each_attempt() -> None:
    first, second = (
        orjson.loads(sign({"dialect": "mailgun", "secret": "mgkey"}, body=b'{"event-data":{}}', at_ms=at_ms).body)
        for at_ms in (T_MS, T_MS + 1000)
    )
    told = first["signature"]
    assert first["event-data"] == {}
    assert (told["timestamp"], len(told["token"])) == ("1700000000", 50)
    assert told["token"] != second["signature"]["token"]
    mac = signing(Algorithm("hmac", "sha256"), "mgkey", "utf8")(f"{told['timestamp']}{told['token']}".encode())
    assert told["signature"] == mac.hex()


def test_message_signatures_cover_the_digest_of_the_body() -> None:
    signed = as_dict(sign({"dialect": "message-signatures", "secret": SECRET, "key_id": "k"}, body=b""))
    assert signed["Content-Digest"] == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert signed["Signature-Input"] == (
        'sig1=("@method" "@authority" "@path" "@query" "content-digest" "content-type")'
        ';created=1700000000;keyid="k";alg="hmac-sha256"'
    )
    assert signed["Signature"].startswith("sig1=:")


def test_a_detached_jws_leaves_its_payload_out() -> None:
    signed = header(sign({"dialect": "jws-detached", "key": KEY, "key_id": "k"}), "X-JWS-Signature") or ""
    protected, payload, signature = signed.split(".")
    assert (protected, payload) == (encoded(b'{"alg":"ES256","kid":"k"}', "base64url"), "")
    data = f"{protected}.{encoded(BODY, 'base64url')}".encode()
    assert signature == encoded(signing(Algorithm("ecdsa", "p256-raw"), KEY, "base64")(data), "base64url")


@pytest.mark.parametrize(
    ("dialect", "second"),
    [("standard-webhooks", " v1,"), ("svix", " v1,"), ("stripe", ",v1="), ("paddle", ";h1=")],
)
def test_while_a_secret_is_replaced_both_sign(dialect: str, second: str) -> None:
    new, old = WHSEC, "whsec_" + base64.b64encode(b"the old secret of 24 byt").decode()
    first, other, both = (
        sign({"dialect": dialect, **secrets}).headers[-1][1].decode()
        for secrets in ({"secret": new}, {"secret": old}, {"secret": new, "previous_secret": old})
    )
    assert both.startswith(first + second)
    assert other.endswith(both.removeprefix(first + second))
    assert sign({"dialect": dialect, "secret": [new, old]}).headers[-1][1].decode() == both


@pytest.mark.parametrize("dialect", ["github", "slack", "shopify", "twilio", "square", "twitch", "message-signatures"])
def test_who_cannot_show_two_signatures_shows_the_newest(dialect: str) -> None:
    alone, both = (sign({"dialect": dialect, "secret": "new", **more}) for more in ({}, {"previous_secret": "old"}))
    assert both == alone


@pytest.mark.parametrize(("dialect", "order"), ALL, ids=list(DIALECTS))
def test_each_dialect_is_what_a_scenario_could_write_itself(dialect: str, order: dict[str, Any]) -> None:
    secret = {key: value for key, value in order.items() if key != "dialect"}
    assert sign(order) == sign([{**composition, **secret} for composition in DIALECTS[dialect]])


@pytest.mark.parametrize(("dialect", "order"), ALL, ids=list(DIALECTS))
def test_each_dialect_covers_what_it_says(dialect: str, order: dict[str, Any]) -> None:
    """A variant is noticeable where, and only where, the signature changes with what it changes."""

    def shown(**changed: Any) -> Any:
        # identifiers that no sender signs, and what is put in before the signature, do not count
        signed = sign(order, **changed)
        body = orjson.loads(signed.body)
        late = [line for line in signed.headers if b"ignature" in line[0] or b"Hmac" in line[0] or b"Plaid" in line[0]]
        return late, body.get("signature"), parse_qs(urlsplit(signed.url).query)

    noticeable = signer(order).noticeable
    assert noticeable[:2] == ("wrong_secret", "missing")
    form = dialect in ("twilio", "twilio-shared-key")
    if not form:  # whose parameters are no JSON
        assert ("tampered" in noticeable) is (shown() != shown(body=b'{"id":"evt_2"}'))
    assert ("stale_timestamp" in noticeable) is (shown() != shown(at_ms=T_MS + 60_000))
    assert ("future_timestamp" in noticeable) is ("stale_timestamp" in noticeable)
