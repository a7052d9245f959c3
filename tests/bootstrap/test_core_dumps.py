"""Risk: the memory of the service, with keys and passwords in it, is written to a disk when the process dies."""

from pathlib import Path

from tests.chaos.service import ServiceProcess


def test_the_service_leaves_no_core_dump(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data")
    service.start()
    limits = Path(f"/proc/{service.process.pid}/limits").read_text(encoding="ascii")
    service.end()
    (line,) = [each for each in limits.splitlines() if each.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]
