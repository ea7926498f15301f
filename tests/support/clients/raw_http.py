"""HTTP as it is typed: a request's target reaches the bridge exactly as the test spells it."""

import asyncio

from multidict import CIMultiDict


async def typed(
    port: int | None,
    method: str,
    target: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> tuple[int, CIMultiDict[str], bytes]:
    """Send one request and return the status, the headers and the raw content of the answer."""
    sent = {"Host": "localhost", "Connection": "close"} | (headers or {})
    if body:
        sent["Content-Length"] = str(len(body))
    lines = [
        f"{method} {target} HTTP/{version}",
        *(f"{name}: {text}" for name, text in sent.items()),
    ]
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            head = await reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode().rstrip().split("\r\n")
            pairs = (line.partition(":") for line in rest)
            known = CIMultiDict((name, text.strip()) for name, _, text in pairs)
            length = 0 if method == "HEAD" else int(known.get("Content-Length", "0"))
            content = await reader.readexactly(length)
        finally:
            writer.close()
    return int(first.split()[1]), known, content
