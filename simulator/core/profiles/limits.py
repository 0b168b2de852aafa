"""Named dialects of limits, for `announce: <name>`.

Rules: data only, in the scenario language; a scenario could write each of them itself. `headers` are fields that one
limit writes, the one with the least share left where several would; `joined` are members of a field that all limits
share; `retry_after`, `error` and `reply` stand where the limit itself says none. Header names keep the vendor's case.
Facts as the drafts and the vendors' pages and SDKs showed them in late 2026.
"""

from __future__ import annotations

from typing import Any

AS_MS = {"as": "ms"}
AS_SECONDS = {"as": "seconds"}
NONE = {"as": "none"}
WINDOW = "{{ ';w=' ~ limit.window_s if limit.window_s is defined else '' }}"
GITHUB = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


def _three(prefix: str, reset: str, suffix: str = "") -> dict[str, str]:
    """Limit, remaining and reset, as most have them."""
    values = {"limit": "{{ limit.limit }}", "remaining": "{{ limit.remaining }}", "reset": f"{{{{ limit.{reset} }}}}"}
    names = {word: word if prefix.islower() else word.title() for word in values}
    return {f"{prefix}{names[word]}{suffix}": value for word, value in values.items()}


DIALECTS: dict[str, dict[str, Any]] = {
    "none": {},
    # draft-ietf-httpapi-ratelimit-headers-10 and -11; RFC 9651
    "ietf": {
        "joined": {
            "RateLimit-Policy": '"{{ limit.name }}";q={{ limit.limit }}'
            + WINDOW
            + "{{ {'bytes': ';qu=\"content-bytes\"',"
            " 'exchanges': ';qu=\"concurrent-requests\"'}[limit.unit] }}",
            "RateLimit": '"{{ limit.name }}";r={{ limit.remaining }}'
            "{{ ';t=' ~ limit.next_s if limit.next_s is defined else '' }}",
        }
    },
    # draft-ietf-httpapi-ratelimit-headers-06 and before
    "ietf-06": {
        "headers": _three("RateLimit-", "reset_s"),
        "joined": {"RateLimit-Policy": "{{ limit.limit }}" + WINDOW},
    },
    # draft-ietf-httpapi-ratelimit-headers-07
    "ietf-07": {
        "headers": {
            "RateLimit": "limit={{ limit.limit }}, remaining={{ limit.remaining }}"
            "{{ ', reset=' ~ limit.reset_s if limit.reset_s is defined else '' }}"
        },
        "joined": {"RateLimit-Policy": "{{ limit.limit }}" + WINDOW},
    },
    "x-ratelimit": {"headers": _three("X-RateLimit-", "reset_s")},
    "x-ratelimit-epoch": {"headers": _three("X-RateLimit-", "reset_epoch")},
    # docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: name the limit core, search, …
    "github": {
        "headers": {
            **_three("x-ratelimit-", "reset_epoch"),
            "x-ratelimit-used": "{{ limit.used }}",
            "x-ratelimit-resource": "{{ limit.name }}",
        },
        "retry_after": NONE,
        "error": {
            "status": 403,
            "message": "API rate limit exceeded for {{ client or request.address }}.",
            "details": {"documentation_url": GITHUB},
        },
    },
    # the same page; Octokit knows this limit by the words `secondary rate` alone
    "github-secondary": {
        "retry_after": AS_SECONDS,
        "error": {
            "status": 403,
            "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            "details": {"documentation_url": f"{GITHUB}#about-secondary-rate-limits"},
        },
    },
    # platform.openai.com/docs/guides/rate-limits: name the limits requests and tokens
    "openai": {
        "headers": _three("x-ratelimit-", "reset_go", "-{{ limit.name }}"),
        "retry_after": [{"as": "seconds", "header": "retry-after"}, {"as": "ms", "header": "retry-after-ms"}],
        "error": {
            "status": 429,
            "code": "rate_limit_exceeded",
            "message": "Rate limit reached on {{ limit.name }}: Limit {{ limit.limit }}, Used {{ limit.used }}, "
            "Requested {{ limit.weight }}."
            "{{ ' Please try again in ' ~ limit.retry_go ~ '.' if limit.retry_go is defined else '' }}",
            "details": {"type": "{{ limit.name }}"},
        },
    },
    # docs.anthropic.com/en/api/rate-limits: name the limits requests and tokens
    "anthropic": {
        "headers": {
            "anthropic-ratelimit-{{ limit.name }}-limit": "{{ limit.limit }}",
            "anthropic-ratelimit-{{ limit.name }}-remaining": "{{ limit.remaining }}",
            "anthropic-ratelimit-{{ limit.name }}-reset": "{{ limit.reset_iso }}",
        },
        "retry_after": {"as": "seconds", "header": "retry-after"},
    },
    # shopify.dev/docs/api/usage/limits
    "shopify": {
        "headers": {"X-Shopify-Shop-Api-Call-Limit": "{{ limit.used }}/{{ limit.limit }}"},
        "retry_after": {"as": "float"},
        "reply": {
            "status": 429,
            "body": {
                "errors": "Exceeded {{ limit.rate }} calls per second for api client. "
                "Reduce request rates to resume uninterrupted service."
            },
        },
    },
    "shopify-graphql": {
        "retry_after": NONE,
        "reply": {
            "status": 200,
            "body": {
                "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
                "extensions": {
                    "cost": {
                        "requestedQueryCost": "{{ limit.weight }}",
                        "actualQueryCost": None,
                        "throttleStatus": {
                            "maximumAvailable": "{{ limit.limit }}",
                            "currentlyAvailable": "{{ limit.remaining }}",
                            "restoreRate": "{{ limit.rate }}",
                        },
                    }
                },
            },
        },
    },
    # docs.slack.dev/apis/web-api/rate-limits; every other error of its is a 200
    "slack": {
        "retry_after": AS_SECONDS,
        "reply": {"status": 429, "body": {"ok": False, "error": "ratelimited"}},
    },
    # www.twilio.com/docs/api/errors/20429
    "twilio": {"retry_after": NONE, "error": {"status": 429, "code": 20429, "message": "Too Many Requests"}},
    # docs.stripe.com/rate-limits: `per: [client, operation]` makes an endpoint's
    "stripe": {
        "retry_after": NONE,
        "error": {
            "status": 429,
            "code": "rate_limit",
            "message": "Request rate limit exceeded.",
            "headers": {
                "Stripe-Rate-Limited-Reason": "{{ 'endpoint' if 'operation' in limit.per else 'global' }}"
                "-{{ 'concurrency' if limit.kind == 'concurrency' else 'rate' }}"
            },
        },
    },
    # docs.discord.com/developers/topics/rate-limits
    "discord": {
        "headers": {
            **_three("X-RateLimit-", "reset_epoch_float"),
            "X-RateLimit-Reset-After": "{{ limit.reset_float }}",
            "X-RateLimit-Bucket": "{{ limit.name | hash('md5') }}",
        },
        "retry_after": AS_SECONDS,
        "reply": {
            "status": 429,
            "headers": {"X-RateLimit-Global": "{{ omit if 'operation' in limit.per else 'true' }}"},
            "body": {
                "message": "You are being rate limited.",
                "retry_after": "{{ limit.retry }}",
                "global": "{{ 'operation' not in limit.per }}",
            },
        },
    },
    # replicate.com/docs/reference/http#rate-limits
    "replicate": {
        "reply": {
            "status": 429,
            "body": {
                "detail": "Request was throttled."
                "{{ ' Expected available in ' ~ limit.retry_s ~ ' second' ~ ('' if limit.retry_s == 1 else 's') ~ '.'"
                " if limit.retry_s is defined else '' }}"
            },
        }
    },
    # what azure-core and botocore read
    "azure": {
        "retry_after": [
            AS_SECONDS,
            {"as": "ms", "header": "retry-after-ms"},
            {"as": "ms", "header": "x-ms-retry-after-ms"},
        ]
    },
    "aws": {"retry_after": {"as": "ms", "header": "x-amz-retry-after"}},
}
