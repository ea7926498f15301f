"""What the start says of the sandbox."""

import asyncio

from bridge.media.decoding import sandboxed


async def test_the_start_says_what_holds(caplog):
    with caplog.at_level("INFO"):
        await sandboxed.report()
    [record] = [record for record in caplog.records if record.message == "media.sandbox"]
    assert (record.seccomp, record.files, record.network) == (1, True, True)


async def test_the_start_warns_where_nothing_holds(caplog, monkeypatch):
    async def none(*_, **__):
        raise OSError("no process")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", none)
    await sandboxed.report()
    [record] = [record for record in caplog.records if record.message == "media.sandbox"]
    assert record.levelname == "WARNING"
    assert (record.landlock, record.seccomp) == (0, 0)
