"""Answers requests with JSON over a real socket, one for each connection: what the fakes of this folder speak."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

Answer = Callable[[str, str, dict[str, str], Any], tuple[int, object]]
"""Method, path, headers by their names in small letters, and body (`{}` where there is none); gives a status and what is said as JSON."""


async def answer_once(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request and close."""
    try:
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        method, path = start.split()[:2]
        status, said = answer(method, path, headers, body)
        content = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
    finally:
        writer.close()
