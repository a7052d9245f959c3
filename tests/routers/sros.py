"""Routers with Nokia SR OS: one with the MD-CLI, one with the classic CLI.

The MD-CLI after Nokia's "MD-CLI User Guide" (prompts of two lines with the mode and the context, `configure private|exclusive|global`,
`edit-config`, `commit`, `discard`, `quit-config`, messages such as `MINOR: MGMT_CORE #2201: Unknown element`, the pager's words, and that
what is not committed in global mode stays in the candidate). The classic CLI after the "Basic System Configuration Guide" (the context in
the prompt, `*` for what is not saved, `Error: Bad command.`, `candidate edit|commit|discard now|quit` with `edit-cfg` in the prompt,
`environment no more`). Left out: the YANG tree and the tree of contexts (a few words are known), rollback, saving, redundancy.
"""

import re
from typing import Final

from tests.routers.scripted import ENABLE, Shell

_ACCEPTED: Final = r"(?:system|router|service|port|interface|description|address|admin-state|name|no)\b.*"
_LOG: Final = "".join(f"line {number} of the log\n" for number in range(1, 36))
_MODES: Final = {"private": "pr", "exclusive": "ex", "global": "gl", "read-only": "ro"}


class MdShell(Shell):
    """One session with the MD-CLI. `mode` is the candidate's, `is_explicit` whether it was entered with `edit-config`."""

    paging_off = ("environment more false",)
    pager = "Press Q to quit, Enter to print next line or any other key to print next page."
    wipe = "\r\x1b[2K"
    mode: str | None = None
    is_explicit = False
    context = "/"
    own: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        changed = "*" if self._entered else ""
        match self.mode, self.is_explicit:
            case None, _:
                where = "[/]"
            case mode, True:
                where = f"({mode})[{self.context}]"
            case mode, _:
                where = f"[{mode}:{self.context}]"
        return f"\n{changed}{where}\nA:admin@{self.device.name}# "

    @property
    def _entered(self) -> list[str]:
        return self.device.candidate if self.mode == "gl" else list(self.own)

    def refuse(self, line: str) -> None:
        word = line.split(maxsplit=1)[0]
        self.write(f"{'^' * len(word)}\nMINOR: MGMT_CORE #2201: Unknown element - '{word}'\n")

    async def carry_out(self, line: str) -> None:
        match line.split():
            case ["environment", "no", "more"]:
                self.refuse(line)
            case ["show", "version"]:
                self.write("TiMOS-C-23.10.R1 cpm/x86_64 Nokia 7750 SR\n")
            case ["show", "log"]:
                await self.page(_LOG)
            case ["enable"]:
                if await self.ask("Password: ", echo=False) != ENABLE:
                    self.write("MINOR: CLI #2003: Invalid password\n")
            case ["logout"]:
                self.leave()
            case _ if self.mode is None:
                self._operate(line)
            case _:
                self._configure(line)

    def _operate(self, line: str) -> None:
        match line.split():
            case ["configure" | "edit-config" as word, kind] if kind in _MODES:
                self.mode, self.is_explicit, self.own = _MODES[kind], word == "edit-config", ()
                self.context = "/" if self.is_explicit else "/configure"
                self.write(f"INFO: CLI #2060: Entering {kind} configuration mode\n")
                if self.mode == "gl" and self.device.candidate:
                    self.write("INFO: CLI #2055: Uncommitted changes are present in the candidate configuration\n")
                elif self.mode in ("ex", "pr"):
                    self.write("INFO: CLI #2061: Uncommitted changes are discarded on configuration mode exit\n")
            case _:
                self.refuse(line)

    def _configure(self, line: str) -> None:
        match line.split():
            case ["commit"]:
                self.device.running += self._entered
                self._forget()
            case ["discard"]:
                self._forget()
            case ["/configure"] | ["configure"]:
                self.context = "/configure"
            case ["exit", "all"] if self.is_explicit:
                self.context = "/"
            case ["exit", "all"]:
                self._quit()
            case ["quit-config"] if self.is_explicit and self.context == "/":
                self._quit()
            case _ if re.fullmatch(_ACCEPTED, line):
                self._accept(line)
            case _:
                self.refuse(line)

    def _accept(self, line: str) -> None:
        if self.mode == "gl":
            self.device.candidate.append(line)
        else:
            self.own = (*self.own, line)
        if line.startswith("router"):
            self.context = f"/configure {line}"

    def _forget(self) -> None:
        self.own = ()
        if self.mode == "gl":
            self.device.candidate.clear()

    def _quit(self) -> None:
        self.own, self.mode = (), None
        self.write("INFO: CLI #2074: Exiting configuration mode\n")


class ClassicShell(Shell):
    """One session with the classic CLI."""

    paging_off = ("environment no more",)
    pager = "Press any key to continue (Q to quit)"
    wipe = "\r" + " " * 40 + "\r"
    context: tuple[str, ...] = ()
    edits = False

    @property
    def prompt(self) -> str:
        unsaved = "*" if self.device.running else ""
        where = "".join(f">{word}" for word in (*(("edit-cfg",) if self.edits else ()), *self.context))
        return f"{unsaved}A:{self.device.name}{where}# "

    def refuse(self, line: str) -> None:
        self.write(f"{'^':>{len(self.prompt) + 1}}\nError: Bad command.\n" if line else "")

    async def carry_out(self, line: str) -> None:
        match line.split():
            case ["environment", *_]:
                self.refuse(line)
            case ["show", "version"]:
                self.write("TiMOS-C-23.10.R1 cpm/x86_64 Nokia 7750 SR\n")
            case ["show", "log"]:
                await self.page(_LOG)
            case ["logout"]:
                self.leave()
            case ["candidate", *what]:
                self._candidate(what)
            case ["exit", "all"]:
                self.context = ()
            case ["exit"] | ["back"]:
                self.context = self.context[:-1]
            case ["configure", *rest]:
                self.context = ("config", *rest)
            case ["router" | "system" as word] if self.context:
                self.context = (*self.context, word)
            case _ if self.context and re.fullmatch(_ACCEPTED, line):
                (self.device.candidate if self.edits else self.device.running).append(line)
            case _:
                self.refuse(line)

    def _candidate(self, what: list[str]) -> None:
        match what:
            case ["edit", *_]:
                self.edits = True
            case ["commit"] if self.edits:
                self.device.running += self.device.candidate
                self.device.candidate.clear()
            case ["discard", "now"] if self.edits:
                self.device.candidate.clear()
            case ["quit"] if self.edits and not self.context:
                self.edits = False
            case _:
                self.refuse("candidate")
