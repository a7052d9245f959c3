"""A network element for tests, on a real socket: it knows one user, two commands, and how to say what nobody asked for.

`python tests/network_element.py` lets it listen until it is interrupted, and prints its port.
"""

import asyncio
import re
from types import TracebackType
from typing import Self

USERNAME, PASSWORD = "noc", "sesame-4711"
_COMMAND = re.compile(r"([A-Z-]+):([^:;]*):([^:;]*):([^:;]*)::([^:;]*)")


class NetworkElement:
    """Answers ACT-USER, RTRV-ALM-ALL and RMV-EQPT. `commands` are all that it was sent but logins; `heard` is set with the first; `hangs_up` and `is_silent` are for those alone."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self.commands: list[str] = []
        self.hangs_up = False
        self.is_silent = False
        self.left = asyncio.Event()
        self.heard = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_known = False
        try:
            while True:
                found = _COMMAND.fullmatch((await reader.readuntil(b";")).decode().strip("; \r\n"))
                verb, _tid, aid, ctag, parameters = found.groups() if found else ("", "", "", "0", "")
                if verb == "ACT-USER":
                    is_known = (aid, parameters) == (USERNAME, PASSWORD)
                    writer.write(_answer(ctag, "COMPLD") if is_known else _answer(ctag, "DENY", "PIUI"))
                    continue
                self.commands.append(f"{verb} {aid} {parameters}".strip())
                self.heard.set()
                if self.hangs_up:
                    return
                if not self.is_silent:
                    writer.write(f"IP {ctag}\r\n<\r\n".encode() + _ALARM + self._carry_out(verb, aid, ctag, is_known=is_known))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()

    def _carry_out(self, verb: str, aid: str, ctag: str, *, is_known: bool) -> bytes:
        if not is_known:
            return _answer(ctag, "DENY", "PICC")
        match verb, aid:
            case "RTRV-ALM-ALL", _:
                alarms = [f'"SLOT-{number},EQPT:MJ,FAIL,SA"' for number in range(1, 4)]
                return _answer(ctag, "RTRV", *alarms, end=">") + _answer(ctag, "COMPLD", '"SLOT-9,EQPT:MN,TEMP,NSA"')
            case "RMV-EQPT", "SLOT-1":
                return _answer(ctag, "COMPLD")
            case "RMV-EQPT", _:
                return _answer(ctag, "DENY", "IIAC", "/* there is no such slot */")
            case _:
                return _answer(ctag, "DENY", "ICNV")


_ALARM = b'\r\n   NE-1 26-11-26 13:45:00\r\n*C 42 REPT ALM EQPT\r\n   "SLOT-2:CR,FAIL"\r\n;\r\n'


def _answer(ctag: str, code: str, *lines: str, end: str = ";") -> bytes:
    text = "".join(f"   {line}\r\n" for line in lines)
    return f"\r\n   NE-1 26-11-26 13:45:00\r\nM  {ctag} {code}\r\n{text}{end}\r\n".encode()


async def _listen() -> None:
    async with NetworkElement() as element:
        print(element.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_listen())
