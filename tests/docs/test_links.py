"""Risk: a reader follows a link and finds nothing, or a page that needs the Internet to be read."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT, repository_files

LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE: Final = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
JSON_EXAMPLE: Final = re.compile(r"^```json\n(\{.*?)^```", re.MULTILINE | re.DOTALL)
LOADED: Final = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
IMPORTED: Final = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])(?:https?:)?//[^)"']*""")


def test_every_link_in_the_repository_leads_to_a_file() -> None:
    broken = [f"{page}: {link}" for page in _pages() for link in _links(page) if not _leads_somewhere(page, link)]
    assert not broken, "\n".join(broken)


def test_the_pages_with_links_are_seen() -> None:
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/index.md"} <= {str(page) for page in _pages()}
    assert list(_links(Path("ARCHITECTURE.md")))


@pytest.mark.parametrize(
    ("link", "leads"),
    [("README.md", True), ("docs", True), ("nothing.md", False), ("https://example.net/x", True), ("LICENSE#nothing", False)],
)
def test_a_broken_link_is_recognised(link: str, leads: bool) -> None:
    assert _leads_somewhere(Path("CHANGELOG.md"), link) is leads


def test_every_json_example_can_be_read() -> None:
    examples = [example for page in _pages() for example in JSON_EXAMPLE.findall((ROOT / page).read_text(encoding="utf-8"))]
    assert len(examples) > 1
    assert all(isinstance(json.loads(example), dict) for example in examples)


def test_every_decision_is_in_the_index_and_can_be_found_on_the_pages() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert not [name for name in records if f"]({name})" not in index]
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not [name for name in records if f": decisions/{name}\n" not in navigation]


def test_the_built_pages_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    assert not [f"{page.name}: {found}" for page in pages for found in LOADED.findall(page.read_text(encoding="utf-8"))]
    assert not [f"{page.name}: {found}" for page in tmp_path.rglob("*.css") for found in IMPORTED.findall(page.read_text(encoding="utf-8"))]


def _pages() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def _links(page: Path) -> Iterator[str]:
    return (found.group(1) for found in LINK.finditer(FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))))


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (ROOT / page).parent / name if name else ROOT / page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(target: Path) -> set[str]:
    if target.suffix != ".md":
        return set()
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", target.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}
