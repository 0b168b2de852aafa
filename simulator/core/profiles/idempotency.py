"""Named ways to be idempotent, for `idempotency: {profile: <name>}` or `idempotency: <name>`.

Rules: data only, in the scenario language; a scenario could write each of them itself, and what it writes beside the
name wins. Facts as the vendors' pages and code showed them in late 2026.
"""

from __future__ import annotations

from typing import Any

BODY_KEY = {"fingerprint": ["operation", "body"], "methods": ["POST"], "replay": {}}

PROFILES: dict[str, dict[str, Any]] = {
    # draft-ietf-httpapi-idempotency-key-header-07
    "ietf": {},
    # docs.stripe.com/api/idempotent_requests; what fails before execution is not kept, a 500 in it is
    "stripe-v1": {
        "methods": ["POST"],
        "key_max": 255,
        "keep": "24h",
        "store": "executed",
        "in_flight": {
            "error": {
                "status": 409,
                "code": "idempotency_key_in_use",
                "message": "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): {{ key }}.",
                "details": {"type": "invalid_request_error"},
            }
        },
        "mismatch": {
            "error": {
                "status": 400,
                "message": "Keys for idempotent requests can only be used with the same parameters they were first "
                "used with. Try using a key other than '{{ key }}' if you meant to execute a different request.",
                "details": {"type": "idempotency_error", "code": None},
            }
        },
        "replay": {"headers": {"Idempotent-Replayed": "true", "Original-Request": "{{ original.request_id }}"}},
    },
    # github.com/svix/svix-webhooks, server/svix-server/src/core/idempotency.rs: the body is not compared
    "svix": {
        "methods": ["POST"],
        "scope": "operation",
        "fingerprint": [],
        "keep": "12h",
        "store": "success",
        "in_flight": "wait",
        "look_up": "before_limits",
        "replay": {},
    },
    # google.aip.dev/155
    "aip-155": {"key": "{{ body.request_id }}", **BODY_KEY},
    # developer.squareup.com/docs/build-basics/common-api-patterns/idempotency
    "square": {"key": "{{ body.idempotency_key }}", "key_max": 192, **BODY_KEY},
}
