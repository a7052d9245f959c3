"""The service as a process of its own that a test may kill: how to start it, talk to it and take its life."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

ROOT = "/telco/api/workflows"
PASSWORD = "chaos-only-password"


def bring_key(of: Path, to: Path) -> None:
    """Put the key of one data directory where another one is to be, as whoever restores a backup has to."""
    to.mkdir(mode=0o700)
    shutil.copy(of / "secrets.key", to)


class ServiceProcess:
    """`stepswitch serve` on a data directory; `start` it again after each kill."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self._arguments = [sys.executable, "-m", "stepswitch", "serve", "--port", "0", "--data-dir", str(data_dir)]
        self._variables = {"STEPSWITCH_ADMIN_PASSWORD": PASSWORD, "STEPSWITCH_LOG_FORMAT": "json", **settings}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.url = ""
        self.log: list[str] = []
        self._news = threading.Condition()

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The process that runs now."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it; returns when it says where it listens."""
        heard: queue.Queue[str | None] = queue.Queue()
        environment = {**os.environ, **self._variables}
        self._process = subprocess.Popen(self._arguments, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
        self._reader = threading.Thread(target=self._listen, args=(self._process, heard), daemon=True)
        self._reader.start()
        while (line := heard.get(timeout=60)) is not None:
            if "http://" in line:
                self.url = "http://" + line.split("http://", 1)[1].split('"', 1)[0].split()[0]
                return
        raise AssertionError("the service did not start: " + "\n".join(self.log[-20:]))

    def _listen(self, process: "subprocess.Popen[str]", heard: "queue.Queue[str | None]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._news:
                self.log.append(line.rstrip())
                self._news.notify_all()
            heard.put(line)
        heard.put(None)

    def wait_for_log(self, text: str) -> None:
        """Return when the service has logged `text`."""
        with self._news:
            assert self._news.wait_for(lambda: any(text in line for line in self.log), 60), f"never logged {text!r}"

    def live_for(self, seconds: float) -> None:
        """Let time pass; the service has to survive it."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the service ended by itself with {code}: " + "\n".join(self.log[-20:]))

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Return the exit code when the process has ended."""
        code = self.process.wait(60)
        assert self._reader is not None
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def login(self) -> dict[str, str]:
        """Return the headers of somebody who is logged in."""
        answer = httpx.post(f"{self.url}/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD}, timeout=30)
        assert answer.status_code == 200, answer.text
        return {"x-hm-authorization": answer.headers["x-hm-authorization"]}

    def store(self, workflow: dict[str, Any], headers: dict[str, str]) -> str:
        """Store a workflow and return its id."""
        answer = httpx.put(f"{self.url}{ROOT}/workflow", json=workflow, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def get(self, execution_id: str, headers: dict[str, str]) -> dict[str, Any]:
        """Return an execution."""
        answer = httpx.get(f"{self.url}{ROOT}/workflowExecution/{execution_id}", headers=headers, timeout=30)
        assert answer.status_code == 200, (answer.status_code, answer.headers)
        found: dict[str, Any] = answer.json()
        return found
