"""What pydantic says of a document, said to the person who wrote it: place, value, what is legal, nearest name.

Rules: a complaint stands at the key or value it is about; a sentence of the house's own validators passes through
unchanged; where a value may be one of several things, only the one that it comes nearest to is spoken of; no word of
the machinery shows. An error's `loc` is walked along the model's types, which tells a step of the document from the
label of a union's branch. The caller sorts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, Tag, ValidationError

from simulator.core.places import Key, Path, Place, listed
from simulator.scenario.text import short

LABEL = re.compile(r"(?:function-\w+\[[^\[\]]*\(\), )*(?:constrained-)?([\w-]+)")
QUOTED = re.compile(r"'([^']*)'")
WORDS = {
    "string": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list",
    "tuple": "a list", "set": "a list", "frozen_set": "a list", "iterable": "a list", "dict": "a mapping",
    "mapping": "a mapping", "model": "a mapping", "model_attributes": "a mapping", "dataclass": "a mapping",
    "none_required": "null", "int_from_float": "a whole number", "finite_number": "a finite number",
    "is_instance_of": "another kind of value",
}  # fmt: skip
KINDS = {suffixed: word for name, word in WORDS.items() for suffixed in (name, f"{name}_type", f"{name}_parsing")}
BOUNDS = {
    "greater_than": "a number above {gt}", "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}", "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}", "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "at least {min_length} entries", "too_long": "at most {max_length} entries",
}  # fmt: skip
CHOICES = ("literal_error", "enum")
STRUCTURE = ("missing", "extra_forbidden")


class _Problem(NamedTuple):
    """One of pydantic's errors. `kinds[i]` is what the model allows after i steps of `loc`."""

    loc: tuple[Key, ...]
    labels: tuple[int, ...]  # which steps are labels of branches
    kinds: tuple[tuple[Any, ...], ...]
    type: str
    value: Any
    context: Mapping[str, Any]
    message: str
    names: tuple[str, ...] = ()  # legal keys, or those of which one is missing

    def path(self, end: int | None = None) -> Path:
        """The steps that the document has."""
        return tuple(step for i, step in enumerate(self.loc[:end]) if i not in self.labels)


def complain_of(error: ValidationError, place: Place, model: type[BaseModel]) -> None:
    """Turn each of the error's problems into a complaint below `place`, where `model` was held against the document."""
    problems = [_problem(details, model) for details in error.errors(include_url=False)]
    for problem in _without_misspelt(_chosen(problems, 0)):
        path, what, at_key = _said(problem, place)
        spot = Place(place.marks, place.complaints, path)
        spot.complain(what, at_key=at_key)
        if place.complaints[-1] in place.complaints[:-1]:
            place.complaints.pop()


# Walking the types


def _problem(details: Any, model: type[BaseModel]) -> _Problem:
    loc: tuple[Key, ...] = details["loc"]
    kinds: tuple[Any, ...] = (_peeled(model),)
    labels: list[int] = []
    trail = [kinds]
    for i, step in enumerate(loc):
        branches = _branches(kinds[0]) if len(kinds) == 1 else ()
        if branches:
            labels.append(i)
            kinds = _narrowed(branches, str(step))
        else:
            flat = [branch for kind in kinds for branch in _branches(kind) or (kind,)]
            kinds = tuple(below for kind in flat for below in _below(_peeled(kind), step))
        trail.append(kinds)
    names: tuple[str, ...] = ()
    if details["type"] in STRUCTURE:
        names = (str(loc[-1]),) if details["type"] == "missing" else _legal_keys(trail[-2])
    context = details.get("ctx") or {}
    return _Problem(loc, tuple(labels), tuple(trail), details["type"], details["input"], context, details["msg"], names)


def _peeled(kind: Any) -> Any:
    """A type without what leaves no step in a `loc`: annotations, names of types, roots, `| None`."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif hasattr(kind, "__value__"):
            kind = kind.__value__
        elif isinstance(kind, type) and issubclass(kind, RootModel):
            kind = kind.model_fields["root"].annotation
        elif get_origin(kind) in (Union, UnionType) and len(members := _members(kind)) == 1:
            kind = members[0]
        else:
            return kind


def _members(kind: Any) -> tuple[Any, ...]:
    return tuple(member for member in get_args(kind) if member is not NoneType)


def _branches(kind: Any) -> tuple[Any, ...]:
    """The members of a union, with their annotations; nothing for any other type."""
    return _members(kind) if get_origin(kind) in (Union, UnionType) else ()


def _narrowed(branches: tuple[Any, ...], label: str) -> tuple[Any, ...]:
    """The branches that a label may mean: by tag, by name, by the literal that tells models apart."""
    match = LABEL.match(label)
    name = match[1] if match else label
    tests: tuple[Callable[[Any], bool], ...] = (
        lambda branch: any(isinstance(extra, Tag) and extra.tag == label for extra in get_args(branch)[1:]),
        lambda branch: _name(_peeled(branch)) == name,
        lambda branch: label in _literals(_peeled(branch)),
        lambda _: True,
    )
    found = next(found for test in tests if (found := [branch for branch in branches if test(branch)]))
    return tuple(_peeled(branch) for branch in found)


def _name(kind: Any) -> str:
    if get_origin(kind) in (Literal, Union, UnionType):
        return "literal" if get_origin(kind) is Literal else "union"
    return getattr(get_origin(kind) or kind, "__name__", "")


def _literals(kind: Any) -> list[Any]:
    """The values of a model's literal fields."""
    fields = kind.model_fields.values() if _is_model(kind) else ()
    literals = [_peeled(field.annotation) for field in fields]
    return [value for literal in literals if get_origin(literal) is Literal for value in get_args(literal)]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _below(kind: Any, step: Key) -> Iterator[Any]:
    """What a type allows one step further down."""
    arguments = get_args(kind)
    if _is_model(kind):
        yield from (
            _peeled(field.annotation) for name, field in kind.model_fields.items() if step in _keys(name, field)
        )
    elif get_origin(kind) is tuple and isinstance(step, int) and arguments[-1] is not Ellipsis:
        yield from map(_peeled, arguments[step : step + 1])
    elif arguments and get_origin(kind) is not Literal:
        yield _peeled(arguments[0] if isinstance(step, int) or len(arguments) == 1 else arguments[1])


def _keys(name: str, field: Any) -> list[str]:
    """What a field may be called in a document, the best name first."""
    alias = field.validation_alias or field.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [*(str(one.path[0]) if isinstance(one, AliasPath) else one for one in choices if one), name]


def _legal_keys(kinds: Iterable[Any]) -> tuple[str, ...]:
    models = [branch for kind in kinds for branch in map(_peeled, _branches(kind) or (kind,)) if _is_model(branch)]
    keys = (_keys(name, field)[0] for model in models for name, field in model.model_fields.items())
    return tuple(dict.fromkeys(keys))


# Choosing among a union's branches


def _chosen(problems: list[_Problem], start: int) -> list[_Problem]:
    """The problems without those of branches that were not meant. `start` is the step to look from."""
    groups: dict[tuple[Key, ...], list[_Problem]] = {}
    for problem in problems:
        label = next((i for i in problem.labels if i >= start), None)
        groups.setdefault((*problem.loc, "") if label is None else problem.loc[:label], []).append(problem)
    chosen: list[_Problem] = []
    for prefix, group in groups.items():
        at = len(prefix)
        if at not in group[0].labels:
            chosen += group
            continue
        branches: dict[Key, list[_Problem]] = {}
        for problem in group:
            branches.setdefault(problem.loc[at], []).append(problem)
        chosen += _nearest([_chosen(branch, at + 1) for branch in branches.values()], at + 1)
    return chosen


def _nearest(branches: list[list[_Problem]], at: int) -> list[_Problem]:
    """The branch that the value comes nearest to, or all the nearest as one. A branch begins at step `at`."""
    fits = [_fit(branch, at) for branch in branches]
    best = [branch for branch, fit in zip(branches, fits, strict=True) if fit == max(fits)]
    tops = [problem for branch in branches for problem in branch if len(problem.loc) == at]
    literals = [name for problem in tops if problem.type in CHOICES for name in _choices(problem)]
    if len(best) > 1 and max(fits)[0] == 2:
        return _structure(best, at)
    top = best[0][0]
    if len(top.loc) != at or len(branches) == 1:
        return best[0]
    if max(fits)[0] == 0 or _near(top.value, literals):
        words = [word for problem in tops for word in _words(problem)]
        return [top._replace(type="union", names=tuple(dict.fromkeys(words)), context={"choices": literals})]
    if literals and top.type not in CHOICES:
        return [top._replace(type="own", message=f"{_sentence(top)}, or {listed(map(repr, literals))}")]
    return best[0]


def _fit(branch: list[_Problem], at: int) -> tuple[int, int, int]:
    """How near a value comes to a branch: rank, then how few keys are wrong, then how few problems there are."""
    structure = sum(problem.type in STRUCTURE and len(problem.loc) == at + 1 for problem in branch)
    ranks = [_rank(problem, at) for problem in branch if len(problem.loc) == at]
    return min(ranks, default=2 if structure else 4), -structure, -len(branch)


def _rank(problem: _Problem, at: int) -> int:
    """0: another kind of value; 1: perhaps; 3: a scalar that was looked at; 4: this kind of value."""
    container = isinstance(problem.value, dict | list)
    if problem.type in KINDS or problem.type in CHOICES:
        return 0
    if any(_takes(kind, problem.value) for kind in problem.kinds[at]):
        return 4
    return 1 if container else 3


def _takes(kind: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return _is_model(kind) or _name(kind) in ("dict", "Mapping")
    return _name(kind) in ("list", "tuple", "set", "frozenset", "Sequence") if isinstance(value, list) else False


def _structure(branches: list[list[_Problem]], at: int) -> list[_Problem]:
    """Mappings that differ in their keys, none nearer than the others: spoken of as one with all their keys."""
    inner = [problem for branch in branches for problem in branch if len(problem.loc) == at + 1]
    unknown = {problem.loc[-1]: problem for problem in reversed(inner) if problem.type == "extra_forbidden"}
    shared = [key for key in unknown if all(any(problem.loc[-1] == key for problem in branch) for branch in branches)]
    if shared:
        names = tuple(dict.fromkeys(name for problem in inner for name in problem.names))
        return [unknown[key]._replace(names=names) for key in reversed(shared)]
    missing = [problem for problem in inner if problem.type == "missing"]
    if not missing:
        return branches[0]
    return [missing[0]._replace(names=tuple(dict.fromkeys(name for problem in missing for name in problem.names)))]


def _without_misspelt(problems: list[_Problem]) -> list[_Problem]:
    """Without the missing keys that stand there misspelt: one slip, one complaint."""
    meant = {
        (problem.loc[:-1], _near(str(problem.loc[-1]), problem.names))
        for problem in problems
        if problem.type == "extra_forbidden"
    }
    return [p for p in problems if p.type != "missing" or not any((p.loc[:-1], name) in meant for name in p.names)]


# Saying it


def _said(problem: _Problem, place: Place) -> tuple[Path, str, bool]:
    """Where, what, and whether it is about the key."""
    path = (*place.path, *problem.path())
    if problem.type == "missing":
        above = _known((*place.path, *problem.path(-1)), place)
        needs = f"an item {problem.loc[-1] + 1}" if isinstance(problem.loc[-1], int) else _quoted(problem.names)
        return above, f"{_dotted(above) or 'the document'} needs {needs}", False
    if problem.type == "extra_forbidden":
        above = _known((*place.path, *problem.path(-1)), place)
        where = f"in {_dotted(above)}" if above else "at the top"
        free = [name for name in problem.names if (*above, name) not in place.marks.keys]
        what = _no_key(str(problem.loc[-1]), where, problem.names, free)
        return (*above, problem.loc[-1]), what, True
    if problem.loc and problem.loc[-1] == "[key]":
        return _known(path[:-1], place), _sentence(problem), True
    if problem.type.startswith("union_tag_"):
        return _tag(problem, path, place)
    return _known(path, place), _sentence(problem), False


def _known(path: Path, place: Place) -> Path:
    """The path without the steps that a validator put in, which the document does not have."""
    return place.marks.real(path) if place.marks.values else path


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _quoted(names: Iterable[str]) -> str:
    return listed(map(repr, names))


def _no_key(name: str, where: str, legal: tuple[str, ...], free: list[str]) -> str:
    """`free` are the legal keys that do not stand there already."""
    near = _near(name, legal, 0.8) or _near(name, free)
    if near:
        return f"no key {name!r} {where}; did you mean {near!r}?"
    return f"no key {name!r} {where}; there is {listed(legal, 40)}" if legal else f"no key {name!r} {where}; remove it"


def _near(value: object, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    found = difflib.get_close_matches(value, list(names), n=1, cutoff=cutoff) if isinstance(value, str) else []
    return found[0] if found else None


def _tag(problem: _Problem, path: Path, place: Place) -> tuple[Path, str, bool]:
    """A union told apart by a field, or by a function whose tags nobody outside knows."""
    field = QUOTED.fullmatch(str(problem.context.get("discriminator", "")))
    tags = QUOTED.findall(str(problem.context.get("expected_tags", "")))
    if field and problem.type == "union_tag_invalid":
        value = problem.value.get(field[1]) if isinstance(problem.value, dict) else problem.value
        choice = problem._replace(type="union", value=value, names=tuple(map(repr, tags)), context={"choices": tags})
        return _known((*path, field[1]), place), _sentence(choice), False
    above = _known(path, place)
    if field and isinstance(problem.value, dict):
        return above, f"{_dotted(above) or 'the document'} needs {field[1]!r}", False
    return above, f"{_shown(problem.value)} is not legal here; see the reference for what is", False


def _sentence(problem: _Problem) -> str:
    """What is wrong with a value, in one sentence."""
    if problem.type in ("value_error", "assertion_error"):
        return str(problem.context.get("error", problem.message))
    words = _words(problem)
    if not words:
        return problem.message
    got = problem.context.get("actual_length") if problem.type in ("too_short", "too_long") else None
    what = f"expected {listed(words)}, got {_shown(problem.value) if got is None else got}"
    near = _near(problem.value, _choices(problem))
    if near:
        return f"{what}; did you mean {near!r}?"
    plain_scalar = isinstance(problem.value, bool | int | float)
    return f"{what}; quote it" if words == ["text"] and plain_scalar else what


def _words(problem: _Problem) -> list[str]:
    """What would be legal, as words for a list; nothing where the message speaks for itself."""
    if problem.type == "union":
        return list(problem.names)
    if problem.type in CHOICES:
        return list(map(repr, _choices(problem))) or [str(problem.context.get("expected"))]
    if problem.type in KINDS:
        return [KINDS[problem.type]]
    if problem.type in BOUNDS:
        return [BOUNDS[problem.type].format(**{name: _bare(value) for name, value in problem.context.items()})]
    expected = re.match(r"Input should be (.+)", problem.message)
    return [expected[1]] if expected else []


def _choices(problem: _Problem) -> list[str]:
    """The texts among which one may be chosen."""
    if problem.type == "union":
        return list(problem.context.get("choices", ()))
    return QUOTED.findall(str(problem.context.get("expected"))) if problem.type in CHOICES else []


def _bare(value: object) -> object:
    """A bound as people write it: pydantic says 0.0 where the model says 0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    return short(value)
