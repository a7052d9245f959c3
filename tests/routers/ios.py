"""A router with Cisco IOS: user mode, privileged mode, and a configuration in which every line takes effect at once.

After Cisco's "Using the Command-Line Interface" of the Configuration Fundamentals guide (modes, prompts, `% Invalid input detected at '^'
marker.`, `--More--`), its command references for `enable` (three tries, `% Bad secrets`), `copy` and `reload` (`[confirm]`), and
"terminal length". Left out: abbreviated commands, privilege levels, syslog on the terminal, AAA, and any check of what is configured.
"""

import re
from typing import Final

from tests.routers.scripted import ENABLE, Shell

_ACCEPTED: Final = r"(?:no )?(?:hostname|interface|description|ip address|ip route|ntp server|shutdown|router ospf|network|banner)\b.*"


class IosShell(Shell):
    """One session."""

    paging_off = ("terminal length 0",)
    mode = "exec"
    is_privileged = False

    @property
    def prompt(self) -> str:
        return self.device.name + ("" if self.mode == "exec" else f"({self.mode})") + ("#" if self.is_privileged else ">")

    def refuse(self, line: str) -> None:
        column = len(self.prompt) + line.find(" ") + 1
        self.write(f"{'^':>{column + 1}}\n% Invalid input detected at '^' marker.\n\n")

    async def carry_out(self, line: str) -> None:
        if self.mode == "exec":
            await self._exec(line)
        else:
            self._configure(line)

    async def _exec(self, line: str) -> None:
        match line.split():
            case ["terminal", "width", _]:
                pass
            case ["enable"]:
                await self._enable()
            case ["exit"]:
                self.leave()
            case ["show", "version"]:
                self.write(f"Cisco IOS Software, Version 17.9.4a\n\n{self.device.name} uptime is 11 weeks\n")
            case ["show", "log"]:
                await self.page("".join(f"line {number} of the log\n" for number in range(1, 36)))
            case ["show", "colours"]:
                self.write("\x1b[1;31mred\x1b[0m and \x1b]0;a title\x07plain\n")
            case ["show", "tricks"]:
                self.write("router bgp 1\nno-such#\nother>\n")
            case ["show", "running-config"] if self.is_privileged:
                self.write("Building configuration...\n\n" + "".join(f"{each}\n" for each in self.device.running) + "end\n\n")
            case ["configure", "terminal"] if self.is_privileged:
                self.write("Enter configuration commands, one per line.  End with CNTL/Z.\n")
                self.mode = "config"
            case ["copy", "running-config", "startup-config"] if self.is_privileged:
                name = await self.ask("Destination filename [startup-config]? ")
                self.write(f"Building configuration...\n[OK]\n{name or 'startup-config'} is written\n")
            case ["copy", "running-config", "scp:"] if self.is_privileged:
                password = await self.ask("Password: ")
                self.write(f"!!\nsent with {password}\n")
            case ["reload"] if self.is_privileged:
                if await self.ask("Proceed with reload? [confirm]") in ("", "y"):
                    self.write("\nreloading\n")
                    self.cut()
            case ["clear", "counters"] if self.is_privileged:
                sure = await self.ask('Clear "show interface" counters on all interfaces [confirm]')
                self.write("cleared\n" if sure in ("", "y") else "")
            case _:
                self.refuse(line)

    async def _enable(self) -> None:
        for _ in range(3):
            if await self.ask("Password: ", echo=False) == ENABLE:
                self.is_privileged = True
                return
        self.write("% Bad secrets\n\n")

    def _configure(self, line: str) -> None:
        words = line.split()
        if words == ["end"]:
            self.mode = "exec"
        elif words == ["exit"]:
            self.mode = "exec" if self.mode == "config" else "config"
        elif not re.fullmatch(_ACCEPTED, line):
            self.refuse(line)
        else:
            self.device.running.append(line)
            self.mode = {"interface": "config-if", "router": "config-router"}.get(words[0], self.mode)
            if words[0] == "hostname":
                self.device.name = words[1]


class PrivilegedIosShell(IosShell):
    """One session of a user who is privileged from the start."""

    is_privileged = True
