"""A router with Cisco IOS XR: what is configured is a target configuration of the session until `commit`.

After Cisco's "Cisco ASR 9000 Series Aggregation Services Router Getting Started Guide" (prompts, `commit`, `abort`, the question at `end`,
`% Failed to commit`) and the "Configuration Management Commands" reference. Left out: admin mode, locks between sessions, `commit
confirmed`, rollback, and any check of what is configured but for the address that `commit` refuses.
"""

import re
from typing import Final

from tests.routers.scripted import Shell

_ACCEPTED: Final = r"(?:no )?(?:hostname|interface|description|ipv4 address|ntp server|shutdown|router ospf|area)\b.*"
REFUSED_AT_COMMIT: Final = "ipv4 address 198.51.100.99 255.255.255.252"


class IosXrShell(Shell):
    """One session."""

    paging_off = ("terminal length 0",)
    pager = " --More-- "
    wipe = "\b" * 10 + " " * 10 + "\b" * 10

    mode = "exec"
    target: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        return f"RP/0/RSP0/CPU0:{self.device.name}" + ("" if self.mode == "exec" else f"({self.mode})") + "#"

    def refuse(self, line: str) -> None:
        self.write(f"{'^':>{len(self.prompt) + len(line)}}\n% Invalid input detected at '^' marker.\n")

    async def carry_out(self, line: str) -> None:
        if self.mode == "exec":
            await self._exec(line)
        else:
            await self._configure(line)

    async def _exec(self, line: str) -> None:
        match line.split():
            case ["terminal", "width", _]:
                pass
            case ["exit"]:
                self.leave()
            case ["show", "version"]:
                self.write("Thu Nov 26 10:11:12.131 UTC\nCisco IOS XR Software, Version 7.9.2\n")
            case ["show", "log"]:
                await self.page("".join(f"line {number} of the log\n" for number in range(1, 36)))
            case ["show", "running-config"]:
                self.write("Building configuration...\n" + "".join(f"{each}\n" for each in self.device.running) + "end\n\n")
            case ["configure", *_]:
                self.mode, self.target = "config", ()
            case _:
                self.refuse(line)

    async def _configure(self, line: str) -> None:
        words = line.split()
        match words:
            case ["commit", *_]:
                self._commit()
            case ["abort"]:
                self.mode, self.target = "exec", ()
            case ["root"]:
                self.mode = "config"
            case ["end"]:
                await self._end()
            case ["exit"] if self.mode != "config":
                self.mode = "config"
            case ["exit"]:
                await self._end()
            case _ if re.fullmatch(_ACCEPTED, line):
                self.target = (*self.target, line)
                self.mode = {"interface": "config-if", "router": "config-ospf"}.get(words[0], self.mode)
            case _:
                self.refuse(line)

    def _commit(self) -> None:
        if REFUSED_AT_COMMIT in self.target:
            self.write(
                "\n% Failed to commit one or more configuration items during a pseudo-atomic operation. All changes made have been "
                "reverted. Please issue 'show configuration failed [inheritance]' from this session to view the errors\n"
            )
            return
        self.device.running += self.target
        self.device.name = next((line.split()[1] for line in reversed(self.target) if line.startswith("hostname ")), self.device.name)
        self.target = ()

    async def _end(self) -> None:
        if self.target:
            reply = await self.ask("Uncommitted changes found, commit them before exiting(yes/no/cancel)? [cancel]:")
            if reply not in ("yes", "no"):
                return
            if reply == "yes":
                self._commit()
        self.mode, self.target = "exec", ()
