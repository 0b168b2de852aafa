"""`simulator check FILES`: every problem of every file at once, as file:line:column."""

from __future__ import annotations

import os
import sys

import click

from simulator.cli.files import read_file
from simulator.errors import Complaint, ScenarioError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
def check(files: tuple[str, ...], strict: bool) -> None:
    """Check scenario files; exit 0 where they may start, 2 where not."""
    from simulator.scenario.parse import parse

    wrong = False
    for file in files:
        try:
            draft = parse(file, read_file, os.environ)
        except ScenarioError as error:
            wrong = True
            _print(error.complaints)
            continue
        _print(list(draft.warnings))
        wrong = wrong or (strict and bool(draft.warnings))
        _print_summary(file, len(draft.scenario.operations), len(draft.scenario.resources))
    sys.exit(2 if wrong else 0)


def _print(complaints: list[Complaint]) -> None:
    for complaint in complaints:
        click.echo(click.style(str(complaint), fg="yellow" if complaint.warning else "red"), err=True)


def _print_summary(file: str, operations: int, resources: int) -> None:
    click.echo(
        f"{file}: {operations} operation{'s' * (operations != 1)}, {resources} resource{'s' * (resources != 1)}, fine"
    )
