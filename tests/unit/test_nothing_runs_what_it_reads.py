"""No file that a run reads, and nothing that another rank says, can make us run code: what could is on a list, with the reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Names, as they are written in a call or an import, of what turns bytes or text into code, or unpacks files wherever they say.
FORBIDDEN = re.compile(
    r"eval|exec|compile|__import__|.*\bimport_module|.*\bexec_module|runpy.*|os\.(system|popen|exec\w*)"
    r"|(pickle|_pickle|cloudpickle|dill|joblib|marshal|shelve|jsonpickle)(\..*)?|.*\b(Unpickler|read_pickle)"
    r"|torch\.(load|jit\.load|hub\..*|package\..*|serialization\..*)|yaml\.(load|load_all|unsafe_load\w*|full_load\w*)"
    r"|.*\b\w*_object(s|_list)?|.*\b(extractall|unpack_archive)|(.*\.)?_?(answers|connection|pipe|queue|\w*conn)\.(recv|get)"
)
FLAGS = {"allow_pickle", "weights_only", "shell"}  # of calls: what they would let in
NO_OBJECT = ("OmegaConf.to_object", "_object")  # of ours: a dataclass, a JSON object
ALLOWED = {  # file, name -> why
    ("dist_alexnet/launch/local.py", "pickle"): "what the launcher hands to the ranks that it starts, through their parent's pipe",
    ("cluster/launcher.py", "pickle"): "the same, written",
    ("cluster/ranks.py", "pickle"): "the same, through Ray, which asks for a token",
    ("cluster/apart.py", "self._answers.recv"): "from a child of ours, through a pipe that nobody else has",
    ("dist_alexnet/testing/ranks.py", "pickle"): "results of functions that a test has started, in a temporary folder of its own",
    ("dist_alexnet/registry.py", "spec.loader.exec_module"): "our own packages, from where this one lies",
    ("dist_alexnet/dashboard/settings.py", "yaml.load"): "with BaseLoader, which makes text, lists and mappings alone",
}


def suspects(source: str) -> Iterator[str]:
    """What is called, imported or passed on in a file that could run code."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Call):
            names = [ast.unparse(node.func), *(f"{flag.arg}=" for flag in node.keywords if flag.arg in FLAGS)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{each.name}" for each in node.names]
        for name in names:
            if name.endswith("=") or (FORBIDDEN.fullmatch(name) and name not in NO_OBJECT):
                yield name.partition(".")[0] if name.startswith("pickle.") else name


def test_what_could_run_code_is_on_the_list() -> None:
    """A new one is looked at by a person, who adds it with a reason; a reason without its call goes."""
    paths = [path for package in ("dist_alexnet", "cluster", "strategies") for path in (ROOT / package).rglob("*.py")]
    found = {(str(path.relative_to(ROOT)), name) for path in paths for name in suspects(path.read_text())}
    assert len(paths) > 200
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "planted",
    [
        *(
            "eval(text)",
            "torch.load(file)",
            "dist.all_gather_object(a, b)",
            "import pickle",
            "from pickle import loads",
            "tar.extractall()",
        ),
        *("np.load(file, allow_pickle=True)", "dist.broadcast_object_list(a)", "yaml.unsafe_load(a)", "subprocess.run(a, shell=True)"),
        *("import cloudpickle", "importlib.import_module(name)", "from torch import load", "answers.recv()"),
    ],
)
def test_it_would_be_found(planted: str) -> None:
    assert list(suspects(planted))
    assert not list(suspects("re.compile(x); network.eval(); json.loads(x); np.load(file); registry.load(group, name)"))
