"""A router with Junos OS: a candidate that all users share, or one of one's own, and a line above the prompt that says where one is.

After Juniper's "CLI User Guide" (`configure`, `configure private`, `configure exclusive`, the list of users, "The configuration has been
changed but not committed", `Exit with uncommitted changes? [yes,no] (yes)`, `rollback 0` and "load complete", `syntax error.`, `unknown
command.`, `---(more)---`). Left out: the hierarchy (a line is stored as it is), confirmed commits, and every check but for one address.
"""

import re
from typing import Final

from tests.routers.scripted import Shell

_ACCEPTED: Final = r"(?:set|delete) (?:system|interfaces|protocols|routing-options)\b.*"
REFUSED_AT_COMMIT: Final = "set interfaces ge-0/0/9 unit 0 family inet address 198.51.100.99/24"


class JunosShell(Shell):
    """One session. `kind` is the form of `configure`; a shared candidate is the device's."""

    paging_off = ("set cli screen-length 0",)
    pager = "---(more)---"
    wipe = "\r" + " " * 40 + "\r"
    kind: str | None = None
    own: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        host = f"admin@{self.device.name}"
        return f"\n{host}> " if self.kind is None else f"\n[edit]\n{host}# "

    def refuse(self, line: str) -> None:
        self.write(f"{'^':>{len(line) + 10}}\n{'unknown command' if self.kind is None else 'syntax error'}.\n")

    async def carry_out(self, line: str) -> None:
        if self.kind is None:
            await self._operate(line)
        else:
            await self._configure(line)

    @property
    def _changed(self) -> bool:
        return bool(self.device.candidate if self.kind == "shared" else self.own)

    async def _operate(self, line: str) -> None:
        match line.split():
            case ["set", "cli", *_]:
                self.write("Screen width set to 511\n" if "width" in line else "")
            case ["exit" | "quit"]:
                self.write("\n")
                self.leave()
            case ["show", "version"]:
                self.write(f"Hostname: {self.device.name}\nModel: mx204\nJunos: 22.4R3.25\n")
            case ["show", "log"]:
                await self.page("".join(f"line {number} of the log\n" for number in range(1, 36)))
            case ["show", "configuration"]:
                self.write("".join(f"{each}\n" for each in self.device.running))
            case ["configure", *how]:
                self._enter(how[0] if how else "shared")
            case _:
                self.refuse(line)

    def _enter(self, kind: str) -> None:
        self.kind, self.own = kind, ()
        if kind != "shared":
            self.write("warning: uncommitted changes will be discarded on exit\nEntering configuration mode\n")
            return
        self.write("Entering configuration mode\n")
        if self.device.candidate:
            self.write("The configuration has been changed but not committed\n")

    async def _configure(self, line: str) -> None:
        match line.split():
            case ["commit"]:
                self._commit()
            case ["commit", "check"]:
                self.write("configuration check succeeds\n")
            case ["commit", "and-quit"]:
                self._commit()
                self.kind = None
                self.write("Exiting configuration mode\n")
            case ["top"]:
                pass
            case ["rollback", "0"]:
                self._forget()
                self.write("load complete\n")
            case ["exit" | "quit", *_]:
                await self._leave_configuration()
            case _ if re.fullmatch(_ACCEPTED, line):
                if self.kind == "shared":
                    self.device.candidate.append(line)
                else:
                    self.own = (*self.own, line)
            case _:
                self.refuse(line)

    def _forget(self) -> None:
        self.own = ()
        if self.kind == "shared":
            self.device.candidate.clear()

    def _commit(self) -> None:
        entered = self.device.candidate if self.kind == "shared" else self.own
        if REFUSED_AT_COMMIT in entered:
            self.write(
                "[edit interfaces ge-0/0/9 unit 0 family inet]\n  'address 198.51.100.99/24'\n    in use\nerror: commit failed: (statements constraint check failed)\n"
            )
            return
        self.device.running += entered
        self._forget()
        self.write("commit complete\n")

    async def _leave_configuration(self) -> None:
        if self._changed:
            question = "Exit with uncommitted changes?" if self.kind == "shared" else "Discard uncommitted changes?"
            self.write("The configuration has been changed but not committed\n")
            if await self.ask(f"{question} [yes,no] (yes) ") == "no":
                return
        if self.kind != "shared":
            self.own = ()
        self.kind = None
        self.write("Exiting configuration mode\n")
