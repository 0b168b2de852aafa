"""Named envelopes of errors, for `errors: {envelope: <name>}`.

Rules: data only, in the scenario language; a scenario could write each of them itself. `error.status`, `.kind`,
`.code`, `.message`, `.details` come from the refusal; members that a scenario adds under `details` (`type`, `param`,
…) take the place of the guesses here. Shapes as the vendors' own pages and SDKs show them in late 2026.
"""

from __future__ import annotations

from typing import Any

ENVELOPES: dict[str, Any] = {
    # docs.stripe.com/api/errors
    "stripe": {
        "error": {
            "type": "{{ error.type or ('api_error' if error.status >= 500 else 'invalid_request_error') }}",
            "code": "{{ error.code or omit }}",
            "message": "{{ error.message }}",
            "param": "{{ error.param }}",
            "decline_code": "{{ error.decline_code }}",
            "doc_url": "{{ error.doc_url }}",
        }
    },
    # platform.openai.com/docs/guides/error-codes
    "openai": {
        "error": {
            "message": "{{ error.message }}",
            "type": "{{ error.type or ('server_error' if error.status >= 500 else 'invalid_request_error') }}",
            "param": "{{ error.param | default(none) }}",
            "code": "{{ error.code | default(none) }}",
        }
    },
    # docs.anthropic.com/en/api/errors
    "anthropic": {
        "type": "error",
        "error": {
            "type": "{{ error.type or {400: 'invalid_request_error', 401: 'authentication_error',"
            " 403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large', 429: 'rate_limit_error',"
            " 529: 'overloaded_error'}[error.status | string]"
            " or ('api_error' if error.status >= 500 else 'invalid_request_error') }}",
            "message": "{{ error.message }}",
        },
        "request_id": "{{ error.request_id }}",
    },
    # docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
    "github": {
        "message": "{{ error.message }}",
        "errors": "{{ error.errors }}",
        "documentation_url": "{{ error.documentation_url | default('https://docs.github.com/rest') }}",
        "status": "{{ error.status | string }}",
    },
    # google.aip.dev/193
    "google": {
        "error": {
            "code": "{{ error.status }}",
            "message": "{{ error.message }}",
            "status": "{{ error.grpc_status or {400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED',"
            " 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 409: 'ABORTED', 412: 'FAILED_PRECONDITION',"
            " 429: 'RESOURCE_EXHAUSTED', 500: 'INTERNAL', 501: 'UNIMPLEMENTED', 503: 'UNAVAILABLE',"
            " 504: 'DEADLINE_EXCEEDED'}[error.status | string] or 'UNKNOWN' }}",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "{{ error.code | string | upper }}",
                    "domain": "{{ error.domain or 'simulator.example' }}",
                }
            ],
        }
    },
    # github.com/microsoft/api-guidelines, azure/Guidelines.md
    "azure": {
        "error": {
            "code": "{{ error.code }}",
            "message": "{{ error.message }}",
            "target": "{{ error.target }}",
            "details": "{{ error.errors }}",
        }
    },
    # www.twilio.com/docs/usage/twilios-response
    "twilio": {
        "code": "{{ error.code }}",
        "message": "{{ error.message }}",
        "more_info": "{{ error.more_info or 'https://www.twilio.com/docs/errors/' ~ error.code }}",
        "status": "{{ error.status }}",
    },
    # developer.squareup.com/docs/build-basics/general-considerations/handling-errors
    "square": {
        "errors": [
            {
                "category": "{{ error.category or {401: 'AUTHENTICATION_ERROR', 403: 'AUTHENTICATION_ERROR',"
                " 429: 'RATE_LIMIT_ERROR'}[error.status | string] or"
                " ('API_ERROR' if error.status >= 500 else 'INVALID_REQUEST_ERROR') }}",
                "code": "{{ error.code | string | upper }}",
                "detail": "{{ error.message }}",
                "field": "{{ error.field }}",
            }
        ]
    },
    # api.slack.com/web#errors
    "slack": {"ok": False, "error": "{{ error.code }}"},
    # RFC 6749 section 5.2
    "oauth": {
        "error": "{{ error.code }}",
        "error_description": "{{ error.message }}",
        "error_uri": "{{ error.error_uri }}",
    },
}

STATUSES: dict[str, int] = {"slack": 200}  # where every error has this status, whatever its kind

HEADERS: dict[str, dict[str, str]] = {"azure": {"x-ms-error-code": "{{ error.code }}"}}

MEMBERS = (
    "param", "decline_code", "doc_url", "documentation_url", "grpc_status", "domain", "target", "more_info",
    "category", "field", "error_uri",
)  # fmt: skip
"""What these envelopes look for beside the members that every error has."""
