"""`simulator`: the group of commands.

Rules: 0 is success, 2 is a wrong scenario or a wrong call; complaints go to standard error, results to standard output.
"""

from __future__ import annotations

import click

from simulator.cli.check import check
from simulator.cli.schema import schema
from simulator.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="simulator", prog_name="simulator")
def main() -> None:
    """A local stand-in for the external HTTP API that your code depends on."""


main.add_command(serve)
main.add_command(check)
main.add_command(schema)
