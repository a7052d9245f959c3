"""Risk: the page for somebody who writes a step type shows code that the package beside it does not have, or leaves out what may be imported."""

import re
import textwrap
from typing import Final

from tests.architecture.source_tree import ROOT

PAGE: Final = (ROOT / "docs" / "how-to" / "write-a-step-type.md").read_text(encoding="utf-8")
PACKAGE: Final = ROOT / "examples" / "step_type"


def test_every_piece_of_code_is_in_the_package() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("src/**/*.py")))
    settings = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")
    pieces = re.findall(r"```(python|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert len(pieces) >= 6
    assert not [
        piece
        for kind, piece in pieces
        if textwrap.dedent(piece) not in textwrap.dedent(code if kind == "python" else settings) and piece not in code
    ]


def test_the_package_imports_the_plugin_contract_only() -> None:
    imported = {
        name
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in re.findall(r"^\s*(?:from|import) (stepswitch[.\w]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {name for name in imported if not name.startswith("stepswitch_tl1")} == {"stepswitch.plugin"}
