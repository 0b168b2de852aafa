"""Verifiers that others wrote accept what is signed here, and refuse it as soon as anything is wrong with it.

They judge against the machine's own clock, so webhooks are signed at its time. Whoever is not installed is skipped.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest

from simulator.core.keys import Algorithm, derived_ec_key, derived_key, private_key, private_pem, whsk
from simulator.core.signing import Signed, Variant
from tests.core.signatures import URL, WHSEC, as_dict, rsa_key, rsa_pem, sign

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages warn of is theirs to mend

BODY = '{"id":"evt_1","object":"event","type":"job.completed","data":{"object":{"note":"café","n":1.0}}}'.encode()
FORM = urlencode({"To": "+15551234567", "Body": "café & more", "Empty": ""}).encode()
SECRET = "a secret of more than thirty-two bytes"
OLD_WHSEC = "whsec_" + base64.b64encode(b"another 24 bytes of key!").decode()
OLD = "the secret before, which is still in force"

Accepts = Callable[[Signed, Any], bool]


class Verifier(NamedTuple):
    """Somebody's check: how to sign for it, and whether it accepts; it is given the signed request and the key."""

    order: dict[str, Any]
    key: Any
    accepts: Accepts
    body: bytes = BODY
    url: str = URL
    old: Any = None  # a key that is being replaced, where both may sign
    timed: str = "both"  # which timestamps it refuses: both, stale or none

    def signed(self, misbehave: Variant | None = None, **changed: Any) -> Signed:
        """A webhook for it, signed now."""
        form = self.body is FORM
        content_type = b"application/x-www-form-urlencoded" if form else b"application/json"
        now_ms = int(time.time() * 1000)
        headers = ((b"Content-Type", content_type),)
        order = {**self.order, **changed}
        return sign(order, misbehave, url=self.url, headers=headers, body=self.body, at_ms=now_ms)


def refuses(check: Callable[[], Any], *errors: type[Exception]) -> bool:
    """Whether the check raises one of these."""
    try:
        check()
    except errors:
        return True
    return False


def standardwebhooks_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("standardwebhooks")
    webhook, error = package.Webhook(secret), package.WebhookVerificationError
    return not refuses(lambda: webhook.verify(signed.body, as_dict(signed)), error)


def svix_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("svix.webhooks")
    webhook, error = package.Webhook(secret), package.WebhookVerificationError
    return not refuses(lambda: webhook.verify(signed.body, as_dict(signed)), error)


def openai_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("openai")
    webhooks = package.OpenAI(api_key="none").webhooks
    errors = (package.InvalidWebhookSignatureError, ValueError)  # the latter: a header field is missing
    return not refuses(lambda: webhooks.unwrap(signed.body, as_dict(signed), secret=secret), *errors)


def replicate_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("replicate.webhook")
    told = {"headers": as_dict(signed), "body": signed.body.decode(), "tolerance": 300}
    key = package.WebhookSigningSecret(key=secret)
    return not refuses(lambda: package.Webhooks.validate(**told, secret=key), package.WebhookValidationError)


def stripe_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("stripe")
    told = as_dict(signed).get("Stripe-Signature")
    check = package.Webhook.construct_event
    return not refuses(lambda: check(signed.body, told, secret), package.SignatureVerificationError)


def slack_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("slack_sdk.signature")
    return bool(package.SignatureVerifier(secret).is_valid_request(signed.body, as_dict(signed)))


def twilio_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("twilio.request_validator")
    told = as_dict(signed)
    body = signed.body.decode()
    parameters = body if body.startswith(("{", " {")) else dict(parse_qsl(body, keep_blank_values=True))
    algorithm = package.get_signature_algorithm(told.get("X-Twilio-Webhooks-Signature-Settings"))
    validator, signature = package.RequestValidator(secret), told.get("X-Twilio-Signature", "")
    return bool(validator.validate(signed.url, parameters, signature, algorithm))


def square_accepts(signed: Signed, secret: str) -> bool:
    package = pytest.importorskip("square.utils.webhooks_helper")
    return bool(
        package.verify_signature(
            request_body=signed.body.decode(),
            signature_header=as_dict(signed).get("x-square-hmacsha256-signature", ""),
            signature_key=secret,
            notification_url=signed.url,
        )
    )


class Request(NamedTuple):
    """A request as http-message-signatures takes it."""

    method: str
    url: str
    headers: dict[str, str]


def message_accepts(algorithm: str, needed: tuple[str, ...]) -> Accepts:
    def accepts(signed: Signed, key: Any) -> bool:
        package = pytest.importorskip("http_message_signatures")
        resolver = package.MappingKeyResolver(public_keys={"k": key}, private_keys={})
        method = getattr(package.algorithms, algorithm)
        verifier = package.HTTPMessageVerifier(signature_algorithm=method, key_resolver=resolver)
        request = Request("POST", signed.url, {"Content-Type": "application/json", **as_dict(signed)})
        told = {"max_age": timedelta(minutes=5), "require_components": needed, "body": signed.body}
        return not refuses(lambda: verifier.verify(request, **told), package.InvalidSignature)

    return accepts


def jwt_accepts(algorithm: str) -> Accepts:
    """A receiver of a compact JWS with claims, as developers are told to write one."""

    def accepts(signed: Signed, key: Any) -> bool:
        package = pytest.importorskip("jwt")
        token = as_dict(signed).get("Plaid-Verification", "")
        try:
            assert package.get_unverified_header(token)["kid"] == "k"
            claims = package.decode(token, key, algorithms=[algorithm])
        except package.PyJWTError:
            return False
        fresh = claims["iat"] > time.time() - 300
        return bool(fresh and claims["request_body_sha256"] == hashlib.sha256(signed.body).hexdigest())

    return accepts


def detached_accepts(algorithm: str) -> Accepts:
    """A receiver that puts the body back between the two dots."""

    def accepts(signed: Signed, key: Any) -> bool:
        package = pytest.importorskip("jwt")
        body = base64.urlsafe_b64encode(signed.body).rstrip(b"=").decode()
        token = as_dict(signed).get("X-JWS-Signature", "").replace("..", f".{body}.")
        return not refuses(lambda: package.PyJWS().decode(token, key, [algorithm]), package.PyJWTError)

    return accepts


def unencoded_accepts(signed: Signed, key: Any) -> bool:
    """RFC 7797: the body is signed as it is."""
    package = pytest.importorskip("jwt")
    token = as_dict(signed).get("X-JWS-Signature", "")
    check = package.PyJWS().decode
    return not refuses(lambda: check(token, key, ["HS256"], detached_payload=signed.body), package.PyJWTError)


EC_PEM = private_pem(derived_ec_key(b"seed"))
EC_PUBLIC = derived_ec_key(b"seed").public_key()
ED_WHSK = whsk(derived_key(b"seed"))
ED_PUBLIC = private_key(Algorithm("eddsa", "ed25519"), ED_WHSK, "base64").public_key()
MESSAGE = {"dialect": "message-signatures", "key_id": "k"}
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "content-type")
JWT = {"dialect": "plaid", "key_id": "k"}
DETACHED = {"dialect": "jws-detached"}
UNENCODED = {"over": {"jws": {"alg": "{{ alg }}", "b64": False, "crit": ["b64"]}}}

VERIFIERS = {
    "standardwebhooks": Verifier(
        {"dialect": "standard-webhooks", "secret": WHSEC}, WHSEC, standardwebhooks_accepts, old=OLD_WHSEC
    ),
    "svix": Verifier({"dialect": "svix", "secret": WHSEC}, WHSEC, svix_accepts, old=OLD_WHSEC),
    "svix-white-label": Verifier({"dialect": "standard-webhooks", "secret": WHSEC}, WHSEC, svix_accepts, old=OLD_WHSEC),
    "openai": Verifier({"dialect": "standard-webhooks", "secret": WHSEC}, WHSEC, openai_accepts, old=OLD_WHSEC),
    "replicate": Verifier({"dialect": "standard-webhooks", "secret": WHSEC}, WHSEC, replicate_accepts, old=OLD_WHSEC),
    "stripe": Verifier({"dialect": "stripe", "secret": WHSEC}, WHSEC, stripe_accepts, old=OLD_WHSEC, timed="stale"),
    "slack": Verifier({"dialect": "slack", "secret": SECRET}, SECRET, slack_accepts),
    "twilio-form": Verifier(
        {"dialect": "twilio", "secret": SECRET}, SECRET, twilio_accepts, body=FORM, url=f"{URL}?a=1", timed="none"
    ),
    "twilio-json": Verifier(
        {"dialect": "twilio-json", "secret": SECRET}, SECRET, twilio_accepts, url=f"{URL}?a=1", timed="none"
    ),
    "twilio-shared-key": Verifier(
        {"dialect": "twilio-shared-key", "secret": SECRET, "key_id": "k"},
        SECRET,
        twilio_accepts,
        body=FORM,
        timed="none",
    ),
    "square": Verifier({"dialect": "square", "secret": SECRET}, SECRET, square_accepts, timed="none"),
    "message-hmac": Verifier(
        {**MESSAGE, "secret": SECRET}, SECRET.encode(), message_accepts("HMAC_SHA256", COVERED), url=f"{URL}?a=1"
    ),
    "message-ed25519": Verifier(
        {**MESSAGE, "eddsa": "ed25519", "key": ED_WHSK}, ED_PUBLIC, message_accepts("ED25519", COVERED)
    ),
    "message-ecdsa": Verifier(
        {**MESSAGE, "ecdsa": "p256", "key": EC_PEM}, EC_PUBLIC, message_accepts("ECDSA_P256_SHA256", COVERED)
    ),
    "message-ecdsa-p384": Verifier(
        {**MESSAGE, "ecdsa": "p384", "key": private_pem(derived_ec_key(b"seed", "p384"))},
        derived_ec_key(b"seed", "p384").public_key(),
        message_accepts("ECDSA_P384_SHA384", COVERED),
    ),
    "message-rsa": Verifier(
        {**MESSAGE, "rsa": "sha256", "key": rsa_pem()},
        rsa_key().public_key(),
        message_accepts("RSA_V1_5_SHA256", COVERED),
    ),
    "message-target-uri": Verifier(
        {**MESSAGE, "secret": SECRET, "over": {"message": ["@method", "@authority", "@target-uri", "content-digest"]}},
        SECRET.encode(),
        message_accepts("HMAC_SHA256", ("@method", "@authority", "@target-uri")),
    ),
    "jwt-es256": Verifier({**JWT, "key": EC_PEM}, EC_PUBLIC, jwt_accepts("ES256")),
    "jwt-rs256": Verifier({**JWT, "rsa": "sha256", "key": rsa_pem()}, rsa_key().public_key(), jwt_accepts("RS256")),
    "jwt-eddsa": Verifier({**JWT, "eddsa": "ed25519", "key": ED_WHSK}, ED_PUBLIC, jwt_accepts("EdDSA")),
    "jwt-hs256": Verifier({**JWT, "hmac": "sha256", "secret": SECRET}, SECRET, jwt_accepts("HS256")),
    "jws-detached": Verifier({**DETACHED, "key": EC_PEM}, EC_PUBLIC, detached_accepts("ES256"), timed="none"),
    "jws-unencoded": Verifier(
        {**DETACHED, **UNENCODED, "hmac": "sha256", "secret": SECRET}, SECRET, unencoded_accepts, timed="none"
    ),
}
EACH = pytest.mark.parametrize("name", VERIFIERS)
TIMED = [name for name, verifier in VERIFIERS.items() if verifier.timed != "none"]
ROTATING = [name for name, verifier in VERIFIERS.items() if verifier.old]


@EACH
def test_what_is_signed_well_is_accepted(name: str) -> None:
    verifier = VERIFIERS[name]
    assert verifier.accepts(verifier.signed(), verifier.key)


@EACH
def test_odd_spacing_under_a_valid_signature_is_accepted(name: str) -> None:
    verifier = VERIFIERS[name]
    signed = verifier.signed("odd_spacing")
    assert (signed.body == verifier.body) is (verifier.body is FORM)
    assert verifier.accepts(signed, verifier.key)


@EACH
@pytest.mark.parametrize("variant", ["tampered", "wrong_secret", "missing"])
def test_what_is_signed_badly_is_refused(name: str, variant: Variant) -> None:
    verifier = VERIFIERS[name]
    assert not verifier.accepts(verifier.signed(variant), verifier.key)


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("variant", ["stale_timestamp", "future_timestamp"])
def test_a_timestamp_that_is_off_is_refused_where_it_is_looked_at(name: str, variant: Variant) -> None:
    verifier = VERIFIERS[name]
    watched = verifier.timed == "both" or variant == "stale_timestamp"
    assert verifier.accepts(verifier.signed(variant), verifier.key) is not watched


@pytest.mark.parametrize("name", ROTATING)
def test_while_a_secret_is_replaced_holders_of_either_accept(name: str) -> None:
    verifier = VERIFIERS[name]
    signed = verifier.signed(previous_secret=verifier.old)
    assert verifier.accepts(signed, verifier.key)
    assert verifier.accepts(signed, verifier.old)
    assert not verifier.accepts(verifier.signed(), verifier.old)


# verifiers that run in Node

PACKAGES = ("@octokit/webhooks-methods@6", "@shopify/shopify-api@13", "@paddle/paddle-node-sdk@3")
SCRIPT = """
import { verify } from '@octokit/webhooks-methods';
import '@shopify/shopify-api/adapters/node';
import { shopifyApi, ApiVersion, LogSeverity } from '@shopify/shopify-api';
import { Paddle } from '@paddle/paddle-node-sdk';

const paddle = new Paddle('none');
const shopify = (secret) => shopifyApi({
  apiKey: 'none', apiSecretKey: secret, hostName: 'a.test', isEmbeddedApp: false,
  apiVersion: Object.values(ApiVersion).at(-1), logger: { level: LogSeverity.Error, log: () => {} },
});
const accepts = {
  github: async ({ secret, body, headers }) => {
    const told = headers['x-hub-signature-256'];
    return told !== undefined && verify(secret, body, told);
  },
  shopify: async ({ secret, body, headers }) => (await shopify(secret).webhooks.validate({
    rawBody: body, rawRequest: { method: 'POST', url: '/hook', headers },
  })).valid,
  paddle: async ({ secret, body, headers }) => {
    const told = headers['paddle-signature'];
    return told !== undefined && (await paddle.webhooks.isSignatureValid(body, secret, told));
  },
};
let text = '';
for await (const part of process.stdin) text += part;
const answers = [];
for (const request of JSON.parse(text)) answers.push(await accepts[request.verifier](request));
console.log(JSON.stringify(answers));
"""
VARIANTS: list[Variant | None] = [None, "odd_spacing", "tampered", "wrong_secret", "missing"]
FRESH_MS = 60_000  # ahead, for Node takes its time to start and Paddle allows five seconds, but any future


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages and the script."""
    if not shutil.which("node") or not (npm := shutil.which("npm")):
        pytest.skip("node and npm are not installed; with them, three vendors' own verifiers run here")
    folder = tmp_path_factory.mktemp("node")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=20000")
    try:
        done = subprocess.run(
            [npm, "install", "--prefix", folder, *quiet, *PACKAGES], capture_output=True, text=True, timeout=90
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm took more than 90 s to install the verifiers")
    if done.returncode:
        pytest.skip(f"npm could not install the verifiers: {done.stderr.strip()[-300:]}")
    (folder / "check.mjs").write_text(SCRIPT, encoding="utf-8")
    return folder


@pytest.mark.timeout(180)  # npm, once
@pytest.mark.parametrize("name", ["github", "shopify", "paddle"])
def test_verifiers_in_node_accept_and_refuse_the_same(node: Path, name: str) -> None:
    at_ms = int(time.time() * 1000) + FRESH_MS
    order = {"dialect": name, "secret": SECRET}
    signed = [sign(order, variant, body=BODY, at_ms=at_ms) for variant in VARIANTS]
    requests = [
        {
            "verifier": name,
            "secret": SECRET,
            "body": each.body.decode(),
            "headers": {key.lower(): value for key, value in as_dict(each).items()},
        }
        for each in signed
    ]
    done = subprocess.run(
        ["node", "check.mjs"], cwd=node, input=orjson.dumps(requests), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert orjson.loads(done.stdout.splitlines()[-1]) == [True, True, False, False, False]
