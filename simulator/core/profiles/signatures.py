"""How known senders sign their webhooks, for `sign: {dialect: <name>, secret: …}`.

Rules: data only, in the words of `sign:` itself; a scenario could write each of them, and whatever stands beside
`dialect` there takes the place of the dialect's own word. Checked against the vendors' own verifiers in late 2026.
"""

from __future__ import annotations

from typing import Any

STANDARD: dict[str, Any] = {
    "hmac": "sha256",
    "key_encoding": "whsec",
    "over": "{{ id }}.{{ timestamp }}.{{ payload }}",
    "encode": "base64",
}


def _standard(prefix: str, version: str) -> dict[str, str]:
    """The three header fields; while a secret is replaced, one signature for each, with a space between."""
    return {
        f"{prefix}-id": "{{ id }}",
        f"{prefix}-timestamp": "{{ timestamp }}",
        f"{prefix}-signature": f"{version},{{{{ signatures | join(' {version},') }}}}",
    }


FORM_SIGNED: dict[str, Any] = {
    "hmac": "sha1",
    "over": {"form_after": "{{ url }}"},
    "encode": "base64",
    "headers": {"X-Twilio-Signature": "{{ signature }}"},
}
TOKEN = "{{ hash(id ~ timestamp)[:50] }}"  # noqa: S105 - drawn anew for each attempt, and 50 characters long

# Each dialect is a list: some senders sign twice.
DIALECTS: dict[str, tuple[dict[str, Any], ...]] = {
    # github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md 1.0.0
    "standard-webhooks": ({**STANDARD, "headers": _standard("webhook", "v1")},),
    # the same, asymmetric: key is whsk_…
    "standard-webhooks-v1a": (
        {"eddsa": "ed25519", "over": STANDARD["over"], "encode": "base64", "headers": _standard("webhook", "v1a")},
    ),
    # docs.svix.com/receiving/verifying-payloads/how-manual
    "svix": ({**STANDARD, "headers": _standard("svix", "v1")},),
    # docs.stripe.com/webhooks#verify-manually; the key is the whole text, `whsec_` included
    "stripe": (
        {
            "hmac": "sha256",
            "over": "{{ timestamp }}.{{ payload }}",
            "headers": {"Stripe-Signature": "t={{ timestamp }},v1={{ signatures | join(',v1=') }}"},
        },
    ),
    # docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    "github": (
        {
            "hmac": "sha1",
            "headers": {
                "X-GitHub-Event": "{{ event.type }}",
                "X-GitHub-Delivery": "{{ id }}",
                "X-Hub-Signature": "sha1={{ signature }}",
            },
        },
        {"hmac": "sha256", "headers": {"X-Hub-Signature-256": "sha256={{ signature }}"}},
    ),
    # docs.slack.dev/authentication/verifying-requests-from-slack
    "slack": (
        {
            "hmac": "sha256",
            "over": "v0:{{ timestamp }}:{{ payload }}",
            "headers": {"X-Slack-Request-Timestamp": "{{ timestamp }}", "X-Slack-Signature": "v0={{ signature }}"},
        },
    ),
    # shopify.dev/docs/apps/build/webhooks/subscribe/https; its library refuses a webhook without the other fields
    "shopify": (
        {
            "hmac": "sha256",
            "encode": "base64",
            "headers": {
                "X-Shopify-Topic": "{{ event.type }}",
                "X-Shopify-Shop-Domain": "simulator.myshopify.com",
                "X-Shopify-API-Version": "2026-10",
                "X-Shopify-Webhook-Id": "{{ id }}",
                "X-Shopify-Hmac-Sha256": "{{ signature }}",
            },
        },
    ),
    # www.twilio.com/docs/usage/security: forms, and GET
    "twilio": (FORM_SIGNED,),
    # the same page: JSON bodies, whose digest is part of the URL
    "twilio-json": ({**FORM_SIGNED, "query": {"bodySHA256": "{{ hash(payload) }}"}, "over": "{{ url }}"},),
    # forms signed with a shared key, whose id is key_id
    "twilio-shared-key": (
        {
            **FORM_SIGNED,
            "hmac": "sha256",
            "headers": {
                "X-Twilio-Webhooks-Signature-Settings": "key={{ key_id }},algorithm=HMAC_SHA256",
                "X-Twilio-Signature": "{{ signature }}",
            },
        },
    ),
    # developer.squareup.com/docs/webhooks/step3validate
    "square": (
        {
            "hmac": "sha256",
            "over": "{{ url }}{{ payload }}",
            "encode": "base64",
            "headers": {"x-square-hmacsha256-signature": "{{ signature }}"},
        },
    ),
    # developer.paddle.com/webhooks/signature-verification
    "paddle": (
        {
            "hmac": "sha256",
            "over": "{{ timestamp }}:{{ payload }}",
            "headers": {"Paddle-Signature": "ts={{ timestamp }};h1={{ signatures | join(';h1=') }}"},
        },
    ),
    # dev.twitch.tv/docs/eventsub/handling-webhook-events
    "twitch": (
        {
            "hmac": "sha256",
            "timestamp": "iso_ns",
            "over": "{{ id }}{{ timestamp }}{{ payload }}",
            "headers": {
                "Twitch-Eventsub-Message-Id": "{{ id }}",
                "Twitch-Eventsub-Message-Timestamp": "{{ timestamp }}",
                "Twitch-Eventsub-Message-Type": "notification",
                "Twitch-Eventsub-Subscription-Type": "{{ event.type }}",
                "Twitch-Eventsub-Subscription-Version": "1",
                "Twitch-Eventsub-Message-Signature": "sha256={{ signature }}",
            },
        },
    ),
    # documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks; the event itself is not covered
    "mailgun": (
        {
            "hmac": "sha256",
            "over": f"{{{{ timestamp }}}}{TOKEN}",
            "body_fields": {
                "signature.timestamp": "{{ timestamp }}",
                "signature.token": TOKEN,
                "signature.signature": "{{ signature }}",
            },
        },
    ),
    # RFC 9421 with RFC 9530; hmac, eddsa, ecdsa or rsa beside it chooses the algorithm
    "message-signatures": (
        {
            "hmac": "sha256",
            "over": {"message": ["@method", "@authority", "@path", "@query", "content-digest", "content-type"]},
            "encode": "base64",
            "headers": {
                "Content-Digest": "sha-256=:{{ hash(payload, 'sha256', 'base64') }}:",
                "Signature-Input": "sig1={{ signature_input }}",
                "Signature": "sig1=:{{ signature }}:",
            },
        },
    ),
    # RFC 7515 appendix F: the payload is the body, and stands nowhere else
    "jws-detached": (
        {
            "ecdsa": "p256",
            "over": {"jws": {"alg": "{{ alg }}", "kid": "{{ key_id }}"}},
            "encode": "base64url",
            "headers": {"X-JWS-Signature": "{{ protected }}..{{ signature }}"},
        },
    ),
    # plaid.com/docs/api/webhooks/webhook-verification
    "plaid": (
        {
            "ecdsa": "p256",
            "over": {
                "jws": {"alg": "{{ alg }}", "kid": "{{ key_id }}", "typ": "JWT"},
                "claims": {"iat": "{{ timestamp | int }}", "request_body_sha256": "{{ hash(payload) }}"},
            },
            "encode": "base64url",
            "headers": {"Plaid-Verification": "{{ protected }}.{{ content }}.{{ signature }}"},
        },
    ),
}
