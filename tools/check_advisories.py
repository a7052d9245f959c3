"""Asks for known weaknesses of every version in constraints.txt: at PyPI's list, or at the service of OSV that is named.

`python -m tools.check_advisories [--file FILE] [--osv-url URL]`. It ends with 1 where one is known, and prints what, in which version it is mended.
What could not be asked is said and is no failure, for it is no fault of the change that is checked; with STEPSWITCH_REQUIRE_ADVISORIES=1 it is one.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
SECONDS: Final = 300
"""For all of it."""
NAMED: Final = 5
"""Packages that could not be asked about; of more only the number is said."""
REQUIRED: Final = "STEPSWITCH_REQUIRE_ADVISORIES"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known. `unasked`: the packages of which nothing could be learnt; `failure`: why there was no answer at all."""

    weaknesses: Sequence[str] = ()
    asked: int = 0
    unasked: Sequence[str] = ()
    failure: str = ""


def ask(file: Path, osv_url: str | None) -> Answer:
    """Return what is known of the packages in a file of requirements, each with its exact version."""
    at = ("--vulnerability-service", "osv", "--osv-url", osv_url) if osv_url else ()
    options = ("--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off", *at)
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(file), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Answer(failure=f"no answer within {SECONDS} s")
    try:
        return read(json.loads(done.stdout))
    except json.JSONDecodeError:
        return Answer(failure=(done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"])[-1])


def read(report: Mapping[str, Any]) -> Answer:
    """Read the report of pip-audit."""
    packages = report["dependencies"]
    return Answer(
        weaknesses=[_told(package, each) for package in packages for each in package.get("vulns", ())],
        asked=sum("vulns" in package for package in packages),
        unasked=[package["name"] for package in packages if "vulns" not in package],
    )


def _told(package: Mapping[str, Any], weakness: Mapping[str, Any]) -> str:
    mended = ", ".join(weakness["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {weakness['id']}, mended in {mended}"


def _counted(unasked: Sequence[str]) -> str:
    if not unasked:
        return ""
    named = ", ".join(unasked[:NAMED]) + (", …" if len(unasked) > NAMED else "")
    return f"nothing is said there of {len(unasked)} packages ({named})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, say what was learnt, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--osv-url")
    said = parser.parse_args(arguments)
    answer = ask(said.file, said.osv_url)
    for weakness in answer.weaknesses:
        print(weakness)
    missing = answer.failure or _counted(answer.unasked)
    if missing:
        print(f"NOT CHECKED for known weaknesses: {missing}", file=sys.stderr)
    print(f"{answer.asked} packages asked about, {len(answer.weaknesses)} known weaknesses")
    return int(bool(answer.weaknesses or (missing and os.environ.get(REQUIRED))))


if __name__ == "__main__":
    sys.exit(main())
