"""Options that the commands about jobs share."""

from typing import Annotated

import typer

Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Of the dashboard, as http://HOST:8265; default: RAY_API_SERVER_ADDRESS or RAY_ADDRESS, then this machine."
    ),
]
Job = Annotated[str, typer.Argument(help="Id of the job, as submit and list print it.", metavar="ID")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout and nothing else there.")]
