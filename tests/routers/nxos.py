"""A switch with Cisco NX-OS: as IOS, and with configuration sessions, whose lines take effect when the session is committed.

After Cisco's "Cisco Nexus 9000 Series NX-OS Fundamentals Configuration Guide" (prompts, `% Invalid command at '^' marker.`) and the
chapter "Configuring Session Manager" of its system management guide (`configure session`, `verify`, `commit`, `abort`). Left out: roles,
virtual device contexts, checkpoints, and that Session Manager takes only access lists and the like.
"""

import re
from typing import Final

from tests.routers.scripted import Shell

_ACCEPTED: Final = r"(?:no )?(?:hostname|interface|description|ip address|ntp server|shutdown|vlan|feature|ip access-list|permit)\b.*"


class NxosShell(Shell):
    """One session."""

    paging_off = ("terminal length 0",)
    wipe = "\r\x1b[K"
    mode = "exec"
    session: tuple[str, ...] | None = None

    @property
    def prompt(self) -> str:
        return self.device.name + ("" if self.mode == "exec" else f"({self.mode})") + "# "

    def refuse(self, line: str) -> None:
        self.write(f"{'^':>{len(self.prompt) + len(line)}}\n% Invalid command at '^' marker.\n")

    async def carry_out(self, line: str) -> None:
        if self.mode == "exec":
            await self._exec(line)
        else:
            self._configure(line)

    async def _exec(self, line: str) -> None:
        match line.split():
            case ["terminal", "width", _]:
                pass
            case ["exit"]:
                self.leave()
            case ["show", "version"]:
                self.write("Cisco Nexus Operating System (NX-OS) Software\n  NXOS: version 10.3(4a)\n")
            case ["show", "log"]:
                await self.page("".join(f"line {number} of the log\n" for number in range(1, 36)))
            case ["show", "running-config"]:
                self.write("".join(f"{each}\n" for each in self.device.running))
            case ["configure", "terminal"]:
                self.write("Enter configuration commands, one per line. End with CNTL/Z.\n")
                self.mode = "config"
            case ["configure", "session", name]:
                self.write(f"Config Session started, Session ID is 1 ({name})\n")
                self.mode, self.session = "config-s", ()
            case _:
                self.refuse(line)

    def _configure(self, line: str) -> None:
        words = line.split()
        top = "config" if self.session is None else "config-s"
        match words:
            case ["commit"] if self.session is not None:
                self.device.running += self.session
                self.write("Commit Successful\n")
                self.mode, self.session = "exec", None
            case ["abort"] if self.session is not None:
                self.mode, self.session = "exec", None
            case ["end"]:
                self.mode, self.session = "exec", None
            case ["exit"]:
                self.mode = "exec" if self.mode == top else top
            case _ if re.fullmatch(_ACCEPTED, line):
                self._accept(line, top)
            case _:
                self.refuse(line)

    def _accept(self, line: str, top: str) -> None:
        if self.session is not None:
            self.session = (*self.session, line)
        else:
            self.device.running.append(line)
            if line.startswith("hostname "):
                self.device.name = line.split()[1]
        if line.startswith("interface "):
            self.mode = f"{top}-if"
