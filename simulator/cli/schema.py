"""`simulator schema`: the JSON Schema of scenario files, for editors."""

from __future__ import annotations

import json

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def schema() -> None:
    """Print the JSON Schema of scenario files."""
    from simulator.scenario.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
