"""`dist-alexnet config`."""

import sys

import typer

from dist_alexnet.cli import options

app = typer.Typer(help="The configuration of a run.", no_args_is_help=True)


@app.callback()
def _config() -> None:
    """The configuration of a run."""


@app.command()
def show(overrides: options.Overrides = None, preset: options.Preset = None) -> None:
    """Print every setting as YAML: a preset (default: alexnet_2012) with overrides; `-c` reads it back."""
    from dist_alexnet.resolve import resolve, to_yaml
    from dist_alexnet.settings.presets import PAPER, preset_names, read_preset

    config = resolve(read_preset(preset or PAPER), overrides or [])
    text = to_yaml(config, ascii_only="utf" not in sys.stdout.encoding.lower())  # escapes of the stream's own would not read back
    print(f"# presets: {', '.join(preset_names())}\n{text}", end="")
