"""Sound files that the settings name."""

import pytest

from bridge.cli.doctor.storage import check_media_files
from bridge.settings.line import Line, Voicemail
from bridge.settings.model import S3, Data, Media, Recording, Settings
from tests.cli.doctor.surroundings import assert_ok, assert_warns, only, surroundings


async def look(folder, *, url="", s3=None, greeting="files/hello.wav"):
    line = Line(keys=["k" * 20], hold_music="music/a.wav", voicemail=Voicemail(greeting=greeting))
    settings = Settings(
        data=Data(url=url),
        media=Media(root=str(folder)),
        lines={"sales": line},
        recording=Recording(announcement="consent.wav", s3=s3 or S3()),
    )
    async with surroundings(settings) as around:
        return await check_media_files(around)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "music").mkdir()
    for name in ("music/a.wav", "hello.wav", "consent.wav"):
        (tmp_path / name).touch()
    return tmp_path


async def test_files_that_are_here_are_well(folder):
    assert_ok(only(await look(folder)), "all 3 sound files")


async def test_settings_that_name_none_are_well():
    async with surroundings(Settings()) as around:
        assert_ok(only(await check_media_files(around)), "name no sound file")


async def test_a_file_that_is_missing_is_told_with_its_setting(folder):
    (folder / "music" / "a.wav").unlink()
    assert_warns(only(await look(folder)), "music/a.wav", setting="lines.sales.hold_music")


async def test_every_machine_needs_the_files(folder):
    (folder / "hello.wav").unlink()
    found = only(await look(folder, url="postgresql://db/x", s3=S3(bucket="b")))
    assert_warns(found, "hello.wav", setting="lines.sales.voicemail.greeting")
    assert "every machine" in found.fix


async def test_a_greeting_may_be_in_its_lines_own_folder(folder):
    own = folder / "lines" / "sales"
    own.mkdir(parents=True)
    (folder / "hello.wav").rename(own / "hello.wav")
    assert_ok(only(await look(folder)), "all 3 sound files")


@pytest.mark.parametrize("greeting", ["asset_12", "https://x/a.wav", ""])
async def test_what_is_no_file_is_not_looked_for(folder, greeting):
    assert_ok(only(await look(folder, greeting=greeting)), "all 2 sound files")


async def test_machines_without_a_store_are_told_what_they_do_not_share(folder):
    found = only(await look(folder, url="postgresql://db/x"))
    assert_warns(found, "no other can read", setting="recording.s3.bucket")
