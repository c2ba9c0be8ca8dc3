"""Output that nobody reads, or that finds no room: no traceback, and nothing that was to be done is left undone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = f"{sys.executable} -m dist_alexnet"
FULL = "error: a part of the output could not be written: No space left on device\n"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("config show | (read line)", 0, ""),
        ("config show >&-", 0, ""),
        ("config show >&- 2>&- <&-", 0, ""),
        ("config show >/dev/full", 1, FULL),
        ("config show nothing >/dev/full 2>&1", 2, ""),
        ("--help >/dev/full", 1, FULL),
    ],
)
def test_a_command_whose_output_goes_nowhere_ends_as_it_would(line: str, code: int, said: str) -> None:
    shell = subprocess.run(["bash", "-c", f"{PROGRAM} {line}; exit ${{PIPESTATUS[0]}}"], stderr=subprocess.PIPE, text=True, check=False)
    assert (shell.returncode, shell.stderr) == (code, said)


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ODD = [
    ({"PYTHONIOENCODING": "ascii"}, "train --help", "Preset (alexnet_2012"),
    ({"PYTHONIOENCODING": "ascii"}, "config show data.path=\u00e9", r'path: "\xE9"'),
    ({"PYTHONIOENCODING": "utf-8"}, "config show data.path=\u00e9", "path: \u00e9"),
    (ASCII, "data verify \u00e9", "no such folder"),
    ({"PYTHONIOENCODING": "ascii"}, "data verify \u00e9", r"data.path=\xe9: there is no such folder"),
    ({"COLUMNS": "0"}, "train --help", "Preset (alexnet_2012"),
    ({"COLUMNS": "abc", "TERM": "nonsense", "TZ": "No/Where"}, "train --help", "Preset (alexnet_2012"),
    ({"NUMBA_NUM_THREADS": "abc"}, "config show", "error: NUMBA_NUM_THREADS=abc: must be a number of threads"),
]


@pytest.mark.parametrize(("environment", "command", "said"), ODD)
def test_an_odd_environment_costs_no_output(environment: dict[str, str], command: str, said: str) -> None:
    words = [sys.executable, "-m", "dist_alexnet", *command.split()]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG"))}
    answer = subprocess.run(words, env={**inherited, **environment}, capture_output=True, check=False, timeout=60)
    printed = (answer.stdout + answer.stderr).decode()
    assert said in printed
    assert "Error" not in printed


def test_a_terminal_that_is_gone_is_no_error() -> None:
    ours, theirs = os.openpty()
    os.close(ours)
    command = [sys.executable, "-m", "dist_alexnet", "config", "show"]
    assert subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=True).stderr == b""
    os.close(theirs)


def test_what_is_opened_later_does_not_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What a library prints would go into it: a checkpoint, a socket."""
    script = f"""
import os
from dist_alexnet.cli.screen import output
output.open_outlets()
file = open({str(tmp_path / "file")!r}, "w")
os.write(1, b"printed")
print("printed")
"""
    subprocess.run([sys.executable, "-c", script], check=True, close_fds=True, preexec_fn=lambda: os.closerange(0, 3))
    assert (tmp_path / "file").read_text() == ""


def test_a_name_that_the_terminal_cannot_say_is_shown_with_escapes() -> None:
    """Bytes that are no UTF-8, and letters that are not in the encoding of the terminal."""
    script = r"from dist_alexnet.cli.screen import output; output.open_outlets(); print('caf\udce9 \u00e9 \u03b1')"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    printed = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, check=True).stdout
    assert printed == b"caf\\udce9 \xe9 \\u03b1\n"
