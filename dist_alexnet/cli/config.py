"""`dist-alexnet config`."""

import typer

from dist_alexnet.cli import options

app = typer.Typer(help="The configuration of a run.", no_args_is_help=True)


@app.callback()
def _config() -> None:
    """The configuration of a run."""


@app.command()
def show(overrides: options.Overrides = None, preset: options.Preset = None) -> None:
    """Print every setting as YAML: a preset (default: alexnet_2012) with overrides; `-c` reads it back."""
    from dist_alexnet.presets import PAPER, preset_names, read_preset
    from dist_alexnet.resolve import resolve, to_yaml

    text = to_yaml(resolve(read_preset(preset or PAPER), overrides or []))
    print(f"# presets: {', '.join(preset_names())}\n{text}", end="")
