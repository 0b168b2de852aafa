"""A scan as SQL.

Rules: `id`, `state` and the order of creation are columns of `record`; every other field is a row of `field`, joined
in by name; CROSS JOIN fixes the order of the joins, the most telling filter first, because SQLite has no statistics
of these tables; values travel as parameters, never in the text.
"""

from __future__ import annotations

from simulator.core.records import Scan

Query = tuple[str, list[object]]

COLUMNS = {"": "r.ordinal", "id": "r.id", "state": "r.state"}


def select(space: int, scan: Scan) -> Query:
    """One record more than asked for, so that the caller sees whether there is more."""
    tables, conditions, params = _matching(space, scan, scan.by)
    order = _order(scan)
    if scan.after is not None:
        sign = "<" if scan.descending else ">"
        conditions.append(f"({', '.join(order)}) {sign} ({', '.join('?' * len(order))})")
        params += list(scan.after)[-len(order) :]
    direction = "DESC" if scan.descending else "ASC"
    by = ", ".join(f"{column} {direction}" for column in order)
    matching = f"FROM {tables} WHERE {' AND '.join(conditions)}"
    return f"SELECT r.body {matching} ORDER BY {by} LIMIT ? OFFSET ?", [*params, scan.most + 1, scan.offset]


def select_total(space: int, scan: Scan) -> Query:
    """How many records match, wherever the page begins."""
    tables, conditions, params = _matching(space, scan, "")
    matching = f"FROM {tables} WHERE {' AND '.join(conditions)}"
    return f"SELECT count(*) {matching}", params


def _matching(space: int, scan: Scan, by: str) -> tuple[str, list[str], list[object]]:
    """Tables, conditions and parameters for what matches, with `field b` joined in for the order."""
    wanted: list[tuple[str, str, str | None]] = []  # alias, field, text
    conditions = ["r.space=? AND r.kind=?"]
    params: list[object] = [space, scan.kind]
    for name, text in scan.where:
        if name in COLUMNS:
            conditions.append(f"{COLUMNS[name]}=?")
            params.append(text)
        else:
            wanted.append((f"f{len(wanted)}", name, text))
    if by not in COLUMNS:
        wanted.append(("b", by, None))
    for alias, field, demanded in wanted:
        conditions.append(f"{alias}.record=r.number AND {alias}.space=? AND {alias}.kind=? AND {alias}.field=?")
        params += [space, scan.kind, field]
        if demanded is not None:
            conditions.append(f"{alias}.text=?")
            params.append(demanded)
    tables = [f"field {alias}" for alias, _, _ in wanted]
    tables.insert(0 if _record_first(scan) else 1, "record r")
    return " CROSS JOIN ".join(tables), conditions, params


def _record_first(scan: Scan) -> bool:
    """Whether the filters on `record` alone tell more than those on declared fields."""
    names = [name for name, _ in scan.where]
    return "id" in names or (bool(names) and all(name in COLUMNS for name in names))


def _order(scan: Scan) -> list[str]:
    if scan.by not in COLUMNS:
        return ["b.sort", "b.ordinal"]
    if not scan.by:
        return ["f0.ordinal" if any(name not in COLUMNS for name, _ in scan.where) else "r.ordinal"]
    return [COLUMNS[scan.by], "r.ordinal"]
