"""Routers with Huawei VRP: one that takes every line at once (VRP 5), one that commits in two stages (VRP 8).

After Huawei's "Configuration Guide - Basic Configurations" (user view and system view, `Error: Unrecognized command found at '^' position.`,
`---- More ----`, `screen-length 0 temporary`), and the NE40E's "Configuration Management" (`[~name]`, `[*name]`, `commit`, `clear
configuration candidate`, the question at `return` with what is not committed). Left out: levels of users but for `super`, and every
check of what is configured.
"""

import re
from typing import Final

from tests.routers.scripted import ENABLE, Shell

_ACCEPTED: Final = r"(?:undo )?(?:sysname|interface|description|ip address|ntp-service|shutdown|ospf|area)\b.*"


class VrpShell(Shell):
    """One session with immediate effect."""

    paging_off = ("screen-length 0 temporary",)
    pager = "  ---- More ----"
    wipe = "\x1b[42D" + " " * 42 + "\x1b[42D"
    view: str | None = None

    @property
    def prompt(self) -> str:
        return f"<{self.device.name}>" if self.view is None else f"[{self.mark}{self.device.name}{self.view}]"

    @property
    def mark(self) -> str:
        """What stands before the name in a view of two stages."""
        return ""

    def refuse(self, line: str) -> None:
        self.write(f"{'^':>{len(self.prompt) + len(line)}}\nError: Unrecognized command found at '^' position.\n")

    async def carry_out(self, line: str) -> None:
        if self.view is None:
            await self._use(line)
        else:
            await self.configure(line)

    async def _use(self, line: str) -> None:
        match line.split():
            case ["quit"]:
                self.leave()
            case ["display", "version"]:
                self.write("Huawei Versatile Routing Platform Software\nVRP (R) software, Version 8.190\n")
            case ["display", "log"]:
                await self.page("".join(f"line {number} of the log\n" for number in range(1, 36)))
            case ["super"]:
                correct = await self.ask("Password:", echo=False) == ENABLE
                self.write("Now user privilege is 15 level.\n" if correct else "Error: Wrong password.\n")
            case ["reset", "saved-configuration"]:
                sure = await self.ask("Warning: The saved configuration will be erased.\nAre you sure? (y/n)[n]:")
                self.write("Info: Erased.\n" if sure.lower() == "y" else "Info: Nothing was done.\n")
            case ["system-view"]:
                self.write("Enter system view, return user view with Ctrl+Z.\n")
                self.view = ""
            case _:
                self.refuse(line)

    async def configure(self, line: str) -> None:
        """Do what a line says in the system view or below."""
        match line.split():
            case ["return"]:
                self.view = None
            case ["quit"]:
                self.view = None if self.view == "" else ""
            case _ if re.fullmatch(_ACCEPTED, line):
                self.accept(line)
                if line.startswith("interface "):
                    self.view = f"-{line.split()[1]}"
            case _:
                self.refuse(line)

    def accept(self, line: str) -> None:
        """Take a line of the configuration."""
        self.device.running.append(line)
        if line.startswith("sysname "):
            self.device.name = line.split()[1]


class TwoStageVrpShell(VrpShell):
    """One session with a candidate of its own."""

    own: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        return "*" if self.own else "~"

    async def configure(self, line: str) -> None:
        match line.split():
            case ["commit"]:
                for each in self.own:
                    super().accept(each)
                self.own = ()
            case ["clear", "configuration", "candidate"]:
                self.own, self.view = (), ""
            case ["return"] if self.own:
                reply = await self.ask(
                    "Warning: Uncommitted configurations found. Are you sure to commit them before exiting? [Y(yes)/N(no)/C(cancel)]:"
                )
                if reply.upper() == "Y":
                    await self.configure("commit")
                if reply.upper() in ("Y", "N"):
                    self.own, self.view = (), None
            case _:
                await super().configure(line)

    def accept(self, line: str) -> None:
        self.own = (*self.own, line)
