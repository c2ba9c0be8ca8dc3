"""Commands that other packages bring: entry points of the group `dist_alexnet.commands`, loaded when they are asked for.

Each names a function, whose parameters become options as typer reads them, or a `typer.Typer` with commands of its own. A name of ours
stays ours; a package that does not load is named in `--help`, and costs nobody any other command.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from dist_alexnet.config import UsageError

ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}  # what was typed after a command that does not load


class Commands(TyperGroup):
    """Our commands, and after them those of others, which are not imported before somebody asks for one or for `--help`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, ours first."""
        from dist_alexnet import registry  # here, for finding what is installed takes longer than our own commands need

        return [*self.commands, *(name for name in registry.names(registry.COMMANDS) if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None: there is none."""
        return self.commands.get(cmd_name) or (_brought(cmd_name) if cmd_name in self.list_commands(ctx) else None)


def _brought(name: str) -> Any:
    from dist_alexnet import registry

    app = typer.Typer(add_completion=False)
    try:
        command = registry.load_any(registry.COMMANDS, name)
        if isinstance(command, typer.Typer):
            return typer.main.get_group(command)
        if not callable(command):
            raise UsageError(f"command {name!r} is no function and no typer.Typer; its author must name one")
        app.command(name)(command)
        return typer.main.get_command(app)
    except UsageError as error:
        return _says(name, error)
    except Exception as error:  # whatever typer meets in the parameters of a function
        return _says(
            name, UsageError(f"command {name!r} cannot be read by typer: {type(error).__name__}: {error}; its author must mend it")
        )


def _says(name: str, error: UsageError) -> Any:
    """In the place of a command that cannot be had: its help, and what it does, are the reason."""
    app = typer.Typer(add_completion=False)
    app.command(name, help=str(error), context_settings=ANYTHING)(_failing(error))
    return typer.main.get_command(app)


def _failing(error: UsageError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
