"""Every link in the documentation leads somewhere, and every command it shows is one that exists."""

import re
from pathlib import Path

import pytest

from dist_alexnet.presets import preset_names

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_presets_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"-c (\w+)", (ROOT / "README.md").read_text()))
    assert named <= set(preset_names())
