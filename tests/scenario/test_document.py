"""The whole document: what may stand in it, what is meant by what does not, and one scenario that uses every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from simulator.core.accepts import AcceptsModel
from simulator.core.announcements import DialectModel, RetryAfterModel
from simulator.core.answers import FaultErrorModel, RedirectModel, WaitModel
from simulator.core.auth import ApiKeyModel, BasicModel, BearerModel, SchemeModel, UserModel
from simulator.core.clock import ClockSettings
from simulator.core.consistency import ConsistencyModel
from simulator.core.costs import BudgetModel
from simulator.core.credentials import CredentialModel
from simulator.core.damage import ConnectionModel
from simulator.core.drift import BodyModel, DriftModel
from simulator.core.faults import FaultModel
from simulator.core.idempotency import AnswerModel, IdempotencyModel, ReplayModel
from simulator.core.jwts import KeysModel
from simulator.core.limits import LimitModel
from simulator.core.oauth import FirstTokenModel, OAuth2Model
from simulator.core.oauth_clients import ClientModel
from simulator.core.operations import OperationModel, OrderModel
from simulator.core.pages import PageModel
from simulator.core.refusals import KINDS, ErrorModel, ErrorsModel, RefuseModel
from simulator.core.replies import ReplyModel
from simulator.core.resources import ResourceModel, RowModel, StateModel
from simulator.core.signed import HmacModel, SigningKeyModel
from simulator.core.skew import JumpModel
from simulator.core.steps import VerbModel
from simulator.core.tokens import AccessTokenModel, RefreshTokenModel
from simulator.core.triggers import WhenModel
from simulator.core.values import DISTRIBUTIONS
from simulator.scenario.document import SEED_MAX, Scenario
from simulator.scenario.parse import parse_data, parse_text

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
MODELS: list[type[BaseModel]] = [
    Scenario, ClockSettings, ErrorsModel, ErrorModel, ResourceModel, StateModel, RowModel, OperationModel, VerbModel,
    OrderModel, PageModel, ReplyModel, AcceptsModel, RefuseModel, SchemeModel, ApiKeyModel, BasicModel, UserModel,
    BearerModel, CredentialModel, OAuth2Model, ClientModel, AccessTokenModel, RefreshTokenModel, FirstTokenModel,
    KeysModel, HmacModel, SigningKeyModel, IdempotencyModel, AnswerModel, ReplayModel, BudgetModel, LimitModel,
    RetryAfterModel, DialectModel, FaultModel, WhenModel, FaultErrorModel, WaitModel, RedirectModel, ConnectionModel,
    BodyModel, DriftModel, ConsistencyModel, JumpModel,
]  # fmt: skip

EVERY_KEY = """\
scenario: every-key
summary: Uses every key of the language once
seed: 7
base_path: /v1
mount: /here
clock:
  {mode: scaled, rate: 60, epoch: 2026-01-01T00:00:00Z, offset: -5m, drift: 1ms/s, jumps: [{at: 1s, by: 1h}],
   freeze: 1d}
auth:
  key: {realm: keys, api_key: {header: X-Api-Key, prefix: "Key ", keys: {"demo-*": {client: "{{ key }}", uses: 9}}}}
  asked: {api_key: {query: key, keys: {k: {scopes: [read]}}}}
  baked: {api_key: {cookie: session, keys: {c: {ttl: 1h}}}}
  user: {basic: {users: {alice: {password: "${PASSWORD:-secret}", client: a, scopes: [read], uses: 3, ttl: 1d}}}}
  static: {bearer: {tokens: {"sk_*": }}}
  oauth:
    oauth2:
      clients: {demo: {secret: s, scopes: [read, write]}}
      client_auth: [basic, body]
      access_token: {ttl: 10m, format: jwt, algorithm: EdDSA, audience: me, uses: 100}
      refresh_token: {ttl: 30d, rotate: true, reuse_grace: 5s}
      refresh_tokens: {first: {client: demo, scopes: [read]}}
      token_path: /oauth/token
      revoke_path: /oauth/revoke
      introspect_path: /oauth/introspect
      jwks_path: /jwks
      issuer: https://issuer.example
      keys: {rotate: 24h, keep: 24h}
  signed:
    hmac:
      header: X-Signature
      prefix: "sha512="
      key: "{{ headers['X-Key-Id'] }}"
      timestamp: "{{ headers['X-Timestamp'] }}"
      nonce: "{{ headers['X-Nonce'] }}"
      window: 5m
      over: "{{ timestamp }}.{{ request.raw }}"
      algorithm: sha512
      encoding: base64
      key_encoding: utf8
      keys: {one: {secret: s, client: signer, scopes: [read], uses: 5, ttl: 1d}}
      error: {status: 403}
idempotency:
  profile: ietf
  key: "{{ headers['Idempotency-Key'] }}"
  syntax: any
  key_max: 64
  methods: [POST]
  scope: client
  fingerprint: [operation, query, body]
  look_up: before_limits
  keep: 24h
  store: success
  in_flight: {error: {status: 423}}
  mismatch: {error: {message: "{{ key }} was for something else"}}
  replay: {headers: {X-Again: "{{ original.request_id }}"}, error: {status: 409, code: DUPLICATE}}
limits:
  - {name: burst, rate: 10/s, burst: 20, per: [client, "{{ headers.x_tenant }}"], announce: [ietf, github]}
  - {window: 100/15m, style: sliding, operations: ["POST *"], weights: {POST /customers: 5}, free: [304]}
  - {quota: 1GB/month, count: bytes, when: "{{ query.free is undefined }}", charge_rejected: true, reply: {status: 200}}
  - {rate: 1/s, over: delay, delay_most: 2s, announce: {headers: {X-Left: "{{ limit.remaining }}"}, joined: {X-All: x}}}
  - {concurrency: 8, retry_after: [{as: date, header: X-Retry, value: 1s, most: 1m}], error: {status: 503}}
latency: {normal: {mean: 5ms, sd: 1ms}}
faults:
  - {name: one, operation: POST /customers, enabled: false, when: {requests: [1], most: 1}, error: {kind: unavailable}}
  - name: two
    when: {every: 3, client: "demo-*", per: client, if: "{{ query.x }}", between: [1s, 2s]}
    at: reply
    reply: {status: 502, headers: {Content-Type: text/html}, text: "<h1>"}
    delay: 1s
  - {name: three, when: {attempts: [1, 2], after: two}, redirect: {status: 302, to: "https://other.example"}}
  - {name: four, when: {probability: 0.1}, connection: {truncate: 0.5, drip: 10/s, length: wrong, then: reset}}
  - name: five
    body: {drift: {drop: [a], rename: {b: c}, "null": [d], retype: [e], enum: {f: NEW}, add: {g: 1}}}
    stale: true
    pages: duplicate
  - {name: six, tokens: expire, clock: {jump: 5m}, connection: reset}
  - name: seven
    error: {status: 503, code: 9, message: m, headers: {A: b}, details: {help: h}, retry_after: {value: 2s, as: date}}
budget: {most: 100, per: client, every: 30d, error: {status: 429, code: SPENT}}
errors:
  envelope: {error: {code: "{{ error.code }}", text: "{{ error.message }}", help: "{{ error.help }}"}}
  content_type: application/json
  invalid: {status: 422, code: 17, message: "No: {{ error.detail }}", headers: {X-Why: shape}, details: {help: /help}}
  idempotency_key_missing: {code: KEY}
  unauthorized: {code: WHO}
  request_expired: {code: LATE}
  over_budget: {code: SPENT}
  forbidden: {code: NO}
  idempotency_in_flight: {code: RUNS}
  idempotency_mismatch: {code: OTHER}
  rate_limited: {code: SLOWER}
  not_found: {code: NOT_FOUND}
  no_operation: {code: NO_OPERATION}
  method_not_allowed: {code: NO_METHOD}
  wrong_state: {code: WRONG_STATE}
  conflict: {code: CONFLICT}
  precondition_failed: {code: CHANGED}
  too_large: {code: TOO_LARGE}
  contract: {status: 400}
  refused: {code: REFUSED}
  unsupported_media_type: {code: WRONG_TYPE}
  precondition_required: {code: CONDITION}
  scenario_failed: {code: FAILED}
  unavailable: {code: AGAIN}
resources:
  customer:
    record: {name: "{{ body.name }}", email: "{{ body.email }}"}
  job:
    id: "job_{{ chance.base62(8) }}{{ chance.hex(8) }}{{ chance.digits(4) }}"
    record:
      input: "{{ body.input }}"
      owner: "{{ customer.id | default(omit) }}"
      key: "{{ chance.uuid4() }}"
      tag: "{{ chance.ulid() }}"
      dice: "{{ chance.integer(1, 6) }}"
      side: "{{ chance.choice(['left', 'right']) }}"
    view:
      id: "{{ id }}"
      status: "{{ state | lower }}"
      number: "{{ ordinal }}"
      at: ["{{ now.iso }}", "{{ now.epoch }}", "{{ now.epoch_ms }}", "{{ now.http }}"]
      link: "{{ base_url }}/jobs/{{ id }}"
      owner: {if: "{{ record.owner }}", then: "{{ record.owner }}", else: nobody}
      siblings: {for: one, in: "{{ records('job', owner=record.owner) }}", do: "{{ one.id }}"}
    consistency: {lag: 1s, before: stale, lists: 5s}
    initial: "{{ body.state | default('NEW') }}"
    states:
      NEW:
        - {to: A, after: 250ms}
        - {to: A, after: {uniform: [1s, 3s]}}
        - {to: A, after: {normal: {mean: 2s, sd: 200ms}}}
        - {to: A, after: {lognormal: {median: 2s, p99: 8s}}}
        - {to: A, after: {exponential: {mean: 2s}}}
        - {to: A, after: {pareto: {min: 50ms, shape: 1.5}}}
      A:
        rows:
          - {to: B, after: 1.5s, when: "{{ record.dice > 3 }}", weight: 9, set: {done: true}, emit: job.done}
          - {to: B, after: 10m, weight: 1, emit: [job.done, job.late]}
          - {to: B, signal: stop, set: {why: "{{ body.why }}"}}
          - {to: A, signal: read}
          - {to: A, signal: updated}
          - {to: B, signal: deleted}
        set: {since: "{{ now.iso }}"}
        emit: job.started
      B:
operations:
  POST /customers: {create: customer, unique: [name, [name, email]]}
  POST /customers/{customer_id}/jobs:
    summary: Begins a job
    auth: [key, oauth]
    scopes: [write]
    idempotency: required
    cost: 0.01
    latency: 5ms
    create: job
    find: {customer: "{{ params.customer_id }}"}
    set: {via: "{{ request.method }}"}
    accepts:
      body: {type: object, required: [input], properties: {input: {type: string}}}
      query: {type: object, properties: {dry: {type: boolean}}}
      headers: {required: [x-tenant]}
      content_type: [application/json]
    refuse:
      - {when: "{{ body.input == 'encrypted.pdf' }}", error: {status: 422, code: ENCRYPTED}}
      - {when: "{{ customer.name == 'x' }}", error: conflict}
    also:
      - {update: customer, id: "{{ customer.id }}", set: {busy: true}, when: "{{ body.busy }}"}
      - {create: job, where: {owner: "{{ customer.id }}"}}
      - {delete: job, id: "{{ body.old }}", find: {old: {job: "{{ body.old }}"}}}
      - {signal: job.stop, id: "{{ body.stop }}", refuse: [{when: "{{ state == 'B' }}", error: wrong_state}]}
    reply: {status: 202, headers: {Location: "{{ base_url }}/jobs/{{ id }}", Retry-After: 1, Link: [a, b]}}
  GET /jobs/{id}: {read: job, etag: true, where: {owner: "{{ headers.x_owner or omit }}"}}
  GET /jobs/{name}.txt: {read: job, id: "{{ params.name }}", reply: {text: "{{ record.input }}"}}
  GET /jobs:
    list: job
    where: {state: "{{ query.status }}"}
    order: {by: "{{ query.sort or '-dice' }}", fields: [dice, created_at]}
    page: {style: number, size: 5, max: 50, size_parameter: per_page, parameter: page, first: 0, link: true}
    reply: {body: {data: "{{ page.items }}", total: "{{ page.total }}"}}
  GET /jobs-by-cursor: {list: job, order: newest, page: {style: cursor, cursor: id}}
  GET /jobs-by-offset: {list: job, order: -dice, page: {style: offset}}
  GET /jobs-unpaged: {list: job, order: oldest}
  PATCH /jobs/{id}: {update: job, etag: required}
  DELETE /jobs/{id}: {delete: job}
  POST /jobs/{id}:stop: {signal: job.stop}
  GET /status:
    - {when: "{{ 'text/plain' in headers.accept }}", reply: {text: up}}
    - {replies: [{status: 503}, {body: {up: true}}], after_last: again}
  GET /pixel: {reply: {headers: {Content-Type: image/gif}, bytes: R0lGODlhAQABAAAAACw=}}
  GET /files/{rest:path}: {reply: {text: "{{ params.rest }}"}}
"""


def used(value: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """Every key that is written somewhere in a model, with the model it belongs to."""
    if isinstance(value, BaseModel):
        for key in value.model_fields_set:
            yield type(value), key
            yield from used(getattr(value, key))
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from used(part)


def test_one_scenario_uses_every_key_and_is_accepted() -> None:
    draft = parse_text(EVERY_KEY, "every-key")
    assert draft.warnings == ()
    written = set(used(draft.scenario))
    missing = {(model.__name__, key) for model in MODELS for key in model.model_fields if (model, key) not in written}
    alone = {("VerbModel", key) for key in ("read", "list")}  # `also` only changes things
    assert missing == alone
    assert all(re.search(rf"\b{name}: [\[{{]", EVERY_KEY) for name in DISTRIBUTIONS)


def readme_table(heading: str) -> list[str]:
    """The keys in the first column of a table of the README, whose head begins with `heading`."""
    rows = README.split(f"\n{heading}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [key for row in rows for key in re.findall(r"`(\w+)", row.split(" | ")[0])]


def _names(model: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def test_the_tables_of_the_readme_name_every_key_and_no_other() -> None:
    assert sorted(readme_table("| key of a row |")) == sorted(RowModel.model_fields)
    beside = {"after_last"}  # in the row of `replies`
    assert sorted(readme_table("| key | meaning |")) == sorted(OperationModel.model_fields.keys() - beside)
    assert "`after_last: again`" in README
    assert sorted(readme_table("| key of a fault |")) == sorted(FaultModel.model_fields)
    assert sorted(readme_table("| key of `when` |")) == sorted(_names(WhenModel))
    assert sorted(readme_table("| key of `drift` |")) == sorted(_names(DriftModel))
    assert sorted(readme_table("| key of a limit |")) == sorted(LimitModel.model_fields)
    assert sorted(readme_table("| key of idempotency |")) == sorted(IdempotencyModel.model_fields)


def test_a_name_is_enough() -> None:
    scenario = Scenario.model_validate({"scenario": "x"})
    assert (scenario.summary, scenario.base_path, scenario.mount, scenario.seed) == ("", "", None, None)
    assert (scenario.resources, scenario.operations, scenario.clock) == ({}, {}, None)
    assert scenario.errors.envelope == "problem"


@pytest.mark.parametrize("prefix", ["", "/", "/v3", "/api/v3", "/a.b/~c/d_e-f"])
def test_a_prefix_is_empty_or_begins_with_a_slash(prefix: str) -> None:
    assert Scenario(scenario="x", base_path=prefix, mount=prefix).base_path == prefix


@pytest.mark.parametrize("prefix", ["v3", "/v3/", "//", "/a b", "/{id}", "/a?b", "/a\n"])
def test_any_other_prefix_is_refused(prefix: str) -> None:
    for key in ("base_path", "mount"):
        with pytest.raises(ValidationError, match="is no prefix; one begins with a slash"):
            Scenario.model_validate({"scenario": "x", key: prefix})


@pytest.mark.parametrize(("seed", "legal"), [(0, True), (SEED_MAX, True), (-1, False), (SEED_MAX + 1, False)])
def test_a_seed_fits_the_store(seed: int, legal: bool) -> None:
    if legal:
        assert parse_data({"scenario": "x", "seed": seed}, "a").scenario.seed == seed
    else:
        with pytest.raises(ValidationError):
            Scenario.model_validate({"scenario": "x", "seed": seed})


@pytest.mark.parametrize("name", ["x", "X9", "_x", "a-b_c"])
def test_a_name_is_a_word(name: str) -> None:
    assert Scenario.model_validate({"scenario": name, "resources": {name: {}}}).scenario == name


@pytest.mark.parametrize("name", ["", "9x", "-x", "a b", "a.b", "é", "x\n"])
def test_any_other_name_is_refused(name: str) -> None:
    for data in ({"scenario": name}, {"scenario": "x", "resources": {name: {}}}):
        with pytest.raises(ValidationError, match="is no name; a name has letters"):
            Scenario.model_validate(data)


def test_every_kind_of_refusal_may_be_changed() -> None:
    assert set(ErrorsModel.model_fields) == {"envelope", "content_type", *KINDS}
