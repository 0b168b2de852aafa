"""The house rules as functions: source text in, sins out, each with its place and its remedy.

They take texts, not the tree, so that test_house.py can also plant every sin and see it caught.
"""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property

# A room may import only itself and the rooms before it.
ROOMS = (
    "errors", "core", "judge", "scenario", "report", "stores", "settings", "server", "cli", "testing", "__main__",
)  # fmt: skip
DOORS = {"testing": ("simulator.server.app",), "__main__": ("simulator.cli",)}  # who sees even less of the house
PURE_ROOMS = ("errors", "core", "judge", "scenario")
PURE_IMPORTS = {
    "__future__", "abc", "ast", "base64", "binascii", "bisect", "calendar", "collections", "contextlib", "copy",
    "cryptography", "dataclasses", "datetime", "decimal", "difflib", "enum", "fnmatch", "fractions",
    "functools", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "http.HTTPStatus", "ipaddress",
    "itertools", "jinja2", "json", "jsonschema_rs", "jwt", "keyword", "markupsafe", "math", "operator", "orjson",
    "pydantic", "pydantic_core", "python_multipart", "re", "simulator", "statistics", "string", "struct",
    "textwrap", "types", "typing", "unicodedata", "urllib", "uuid", "yaml", "zlib",
}  # fmt: skip
IMPURE_CALLS = {
    "breakpoint": "stops the world",
    "eval": "runs text; compile it when the scenario is loaded",
    "exec": "runs text; compile it when the scenario is loaded",
    "hash": "differs from process to process; use simulator.core.chance or hashlib",
    "input": "waits for a person",
    "open": "looks at the disk; take the text, or a reader, as an argument",
    "print": "speaks; return what there is to say",
}
CLOCKS = {
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "email.utils.localtime", "os.times", "uuid.uuid1",
}  # fmt: skip
DICE = {"os.urandom", "os.getrandom", "ssl.RAND_bytes", "uuid.uuid1", "uuid.uuid4"}
FILE_LINES_MAX = 400  # what a reader takes in as one thing
FUNCTION_LINES_MAX = 50  # one screen

HOSTS = re.compile(
    "|".join(
        ["pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs", "deb" + r"\.debian", "docker" + r"\.io"]
    ),
    re.IGNORECASE,
)
PATHS = re.compile("/(?:" + "work|farm|root|Users" + ")/[.a-z]|/home/" + "[a-z]+/")


class Source:
    """One Python file. `path` counts from the house's own folder: `core/chance.py`."""

    def __init__(self, path: str, text: str, house: str = "simulator") -> None:
        self.path = path
        self.text = text
        self.house = house

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def room(self) -> str:
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def module(self) -> str:
        return f"{self.house}/{self.path}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def sin(self, node: ast.AST, what: str) -> str:
        return f"{self.house}/{self.path}:{getattr(node, 'lineno', 1)}: {what}"


def imports(source: Source) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Every imported name in full, lazy ones and those for type checkers included; relative ones as `.name`."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def wrong_way(source: Source) -> Iterator[str]:
    """Imports up the house, through its door, or by a relative name."""
    here = source.room
    if here != "__init__" and here not in ROOMS:
        yield source.sin(source.tree, f"{here} is no room of the house; the rooms are {', '.join(ROOMS)}")
        return
    for node, name in imports(source):
        parts = name.split(".")
        if not parts[0]:
            yield source.sin(node, f"relative import; write simulator.{here}…")
        elif parts[0] != "simulator":
            continue
        elif here == "__init__":
            yield source.sin(node, "the doorplate imports nothing, or every room would hang on every other")
        elif len(parts) == 1 or parts[1] not in ROOMS:
            yield source.sin(node, f"{name} is the doorplate, not a room; import the module that has it")
        elif here in DOORS and not name.startswith((f"simulator.{here}.", *DOORS[here])):
            yield source.sin(node, f"{here} may import only {', '.join(DOORS[here])}, not {name}")
        elif ROOMS.index(parts[1]) > ROOMS.index(here):
            yield source.sin(node, f"{here} may not import {parts[1]}; move what both need to the left of both")


def rings(sources: Iterable[Source]) -> list[str]:
    """Modules that import each other, by whatever detour."""
    by_name = {source.module: source for source in sources}
    graph = {name: set(_modules(source, by_name)) for name, source in by_name.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" → ".join(reversed(error.args[1])) + ": a ring; one of them belongs elsewhere"]
    return []


def _modules(source: Source, known: Collection[str]) -> Iterator[str]:
    """Which of the known modules run when this one is imported, its own packages excepted."""
    for _, name in imports(source):
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            module = ".".join(parts[:length])
            if module in known and not f"{source.module}.".startswith(f"{module}."):
                yield module


def impure(source: Source) -> Iterator[str]:
    """What a pure room must not do: wait, or look outside."""
    if source.room not in PURE_ROOMS:
        return
    for statement, name in imports(source):
        if not {name, name.split(".")[0]} & PURE_IMPORTS:
            yield source.sin(statement, f"{name} in a pure room; take what it gives as an argument")
    # a __hash__ serves the dicts of this one process
    inside_hash = {part for node in source.nodes if _is_hash(node) for part in ast.walk(node)}
    for node in source.nodes:
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield source.sin(node, "waits in a pure room; the shell waits, in simulator/server")
        elif node not in inside_hash and (name := _builtin_call(node)) in IMPURE_CALLS:
            yield source.sin(node, f"{name}() {IMPURE_CALLS[name]}")


def _builtin_call(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _is_hash(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__hash__"


def unordered(source: Source) -> Iterator[str]:
    """Loops over sets in a pure room: their order differs from process to process."""
    if source.room not in PURE_ROOMS:
        return
    for node in source.nodes:
        if any(_is_set(looped) for looped in _looped(node)):
            yield source.sin(node, "goes through a set, whose order differs from process to process; sort it")


def _looped(node: ast.AST) -> list[ast.expr]:
    """What this node goes through in an order that can be seen afterwards."""
    if isinstance(node, ast.For):
        return [node.iter]
    if isinstance(node, ast.ListComp | ast.DictComp):
        return [generator.iter for generator in node.generators]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"list", "tuple", "iter", "join"}:
        inner = [part.generators[0].iter for part in node.args if isinstance(part, ast.GeneratorExp)]
        return [*node.args, *inner]
    return []


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_set(node.left) or _is_set(node.right)
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return made or isinstance(node, ast.Set | ast.SetComp)


def reads_clock(source: Source) -> Iterator[str]:
    """Every look at a clock of the machine."""
    remedy = "take now_ms as an argument, or ask simulator.server.timekeeper"
    for statement, name in imports(source):
        if name.split(".")[0] == "time":
            yield source.sin(statement, f"{name} is a clock; {remedy}")
    for node, name in _named(source):
        if name in CLOCKS:
            yield source.sin(node, f"{name} reads a clock; {remedy}")
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "time" and "loop" in ast.unparse(node.value):
            yield source.sin(node, f"the loop's time is a clock; {remedy}")


def draws(source: Source) -> Iterator[str]:
    """Every die that a seed does not rule."""
    remedy = "draw from simulator.core.chance, by name"
    for statement, name in imports(source):
        if name.split(".")[0] in {"random", "secrets"}:
            yield source.sin(statement, f"{name} draws; {remedy}")
    for node, name in _named(source):
        if name in DICE:
            yield source.sin(node, f"{name} draws; {remedy}")


def _named(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Each mention of an imported thing, under its full name whatever it is called here."""
    names: dict[str, str] = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            names.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            if first in names:
                yield node, f"{names[first]}.{rest}".rstrip(".")


def too_long(source: Source) -> Iterator[str]:
    """Files and functions that do not fit the page."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield source.sin(source.tree, f"{lines} lines, over {FILE_LINES_MAX}; which part is a thing of its own?")
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield source.sin(node, f"{node.name} has {lines} lines, over {FUNCTION_LINES_MAX}; name its parts")


def silent(source: Source) -> Iterator[str]:
    """Files that do not say what they are for."""
    if not ast.get_docstring(source.tree):
        yield source.sin(source.tree, "does not say what it is for; open with a docstring")


def twinless(sources: Iterable[Source], tests: Collection[str]) -> Iterator[str]:
    """Modules without a test of the same name at the same place."""
    for source in sources:
        folder, _, name = source.path.rpartition("/")
        twin = f"{folder}/test_{name}" if folder else f"test_{name}"
        if not name.startswith("__") and twin not in tests:
            yield source.sin(source.tree, f"no twin; write tests/{twin}")


def undeclared(source: Source, declared: Collection[str], distributions: Mapping[str, list[str]]) -> Iterator[str]:
    """Imports that come from elsewhere and stand in no list of pyproject.toml.

    `distributions` knows which packages bring which import name.
    """
    ours = {"", "simulator", "tests", "loadtests", *sys.stdlib_module_names}
    for node, name in imports(source):
        top = name.split(".")[0]
        brought_by = {normal(package) for package in distributions.get(top, [top])}
        if top not in ours and not brought_by & set(declared):
            yield source.sin(node, f"{top} is not declared in pyproject.toml")


def normal(requirement: str) -> str:
    """The package a requirement names, in the one spelling that compares."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name.group().lower()) if name else requirement


def addresses(path: str, text: str) -> Iterator[str]:
    """Hosts of package registries, and paths of one machine: neither is everybody's."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in ((HOSTS, "a registry's host"), (PATHS, "a path of one machine")):
            if found := pattern.search(line):
                yield f"{path}:{number}: {found.group()!r} is {what}; leave it to the reader's own settings"


def ragged(path: str, text: str) -> Iterator[str]:
    """Texts that do not end as texts do, or hold what nobody sees."""
    if text and not text.endswith("\n"):
        yield f"{path}:{text.count(chr(10)) + 1}: does not end with a newline"
    if "\r\n" in text:
        yield f"{path}:1: has carriage returns; save it with plain newlines"


def every(rule: Callable[[Source], Iterable[str]], sources: Iterable[Source]) -> list[str]:
    """All sins against one rule."""
    return [sin for source in sources for sin in rule(source)]
