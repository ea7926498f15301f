"""Names of files in the media folder: what is found, what is refused, and where new files lie."""

import os

import pytest

from bridge.call.model import LineName
from bridge.errors import InvalidRequest, NotFound
from bridge.media.folder import MAX_COUNTED
from tests.support.media_folder import shared

SALES, SUPPORT = LineName("sales"), LineName("support")
FIELD = "AudioFile"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"a")
    (folder / "sub" / "b.wav").write_bytes(b"b")
    (folder / "lines" / "support").mkdir(parents=True)
    (folder / "lines" / "support" / "theirs.wav").write_bytes(b"theirs")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (tmp_path / "files-beside").mkdir()
    (tmp_path / "files-beside" / "c.wav").write_bytes(b"c")
    return folder


@pytest.fixture
def media(root):
    return shared(root)


async def find(media, name, line=SALES):
    return (await media.find(line, name, FIELD)).read_bytes()


@pytest.mark.parametrize("name", ["a.wav", "sub/b.wav", "./a.wav", "sub/../a.wav", "sub//b.wav"])
@pytest.mark.parametrize("prefix", ["", "files/"])
async def test_a_shared_file_is_found_by_every_name_it_has(media, prefix, name):
    assert await find(media, prefix + name) in (b"a", b"b")


async def test_a_lines_own_file_comes_before_a_shared_one(media):
    with media.reserve(SALES, "a.wav", FIELD).open("wb") as file:
        file.write(b"own")
    assert await find(media, "files/a.wav") == b"own"
    assert await find(media, "a.wav", SUPPORT) == b"a"


OUTSIDE = [
    "..",
    ".",
    "../secret.wav",
    "sub/../../secret.wav",
    "./../secret.wav",
    "../files-beside/c.wav",
    "none/../../secret.wav",
    "a.wav/../../secret.wav",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "files//etc/passwd",
]
NO_NAMES = [
    "",
    "files/",
    "a.wav\0",
    "\0",
    "../\0",
    "a\n.wav",
    "\udcff.wav",
    "x" * 5000,
    "x/" * 2000,
]
NO_NAMES += ["x" * 201, "\u00e9" * 150]


@pytest.mark.parametrize("name", [*OUTSIDE, *NO_NAMES])
async def test_a_name_that_is_none_or_leads_out_is_refused_and_the_field_named(media, name):
    for act in (lambda: media.find(SALES, name, FIELD), lambda: reserve(media, name)):
        with pytest.raises(InvalidRequest) as refused:
            await act()
        assert refused.value.status == 400
        assert refused.value.field == FIELD


async def reserve(media, name):
    return media.reserve(SALES, name, FIELD)


@pytest.mark.parametrize(
    "name",
    [
        "sub",
        "none.wav",
        "sub/a.wav",
        "..\\secret.wav",
        "%2e%2e/secret.wav",
        "..%2fsecret.wav",
        "~/secret.wav",
        "file:///etc/passwd",
        "http://127.0.0.1/a.wav",
        "a.wav ",
        "lines/support/theirs.wav",
        "sub/../lines/support/theirs.wav",
        "theirs.wav",
    ],
)
async def test_what_is_no_file_of_the_line_or_of_all_is_not_found(media, name):
    with pytest.raises(NotFound):
        await media.find(SALES, name, FIELD)


async def test_another_lines_folder_is_not_reached_from_ones_own(media):
    with pytest.raises(InvalidRequest):
        await media.find(SALES, "../support/theirs.wav", FIELD)
    with pytest.raises(InvalidRequest):
        media.reserve(SALES, "../support/new.wav", FIELD)


async def test_what_an_earlier_version_recorded_into_the_shared_part_is_its_lines_alone(root):
    media = shared(root, {(root / "a.wav").resolve(): SUPPORT})
    assert await find(media, "a.wav", SUPPORT) == b"a"
    with pytest.raises(NotFound):
        await media.find(SALES, "a.wav", FIELD)


@pytest.mark.parametrize("target", ["../secret.wav", "/etc/passwd", "..", "/dev/zero"])
async def test_a_link_that_leads_out_of_the_folder_is_not_followed(media, root, target):
    (root / "link").symlink_to(target)
    with pytest.raises(NotFound):
        await media.find(SALES, "link", FIELD)


async def test_a_link_into_another_lines_folder_is_not_followed(media, root):
    (root / "link").symlink_to("lines/support")
    with pytest.raises(NotFound):
        await media.find(SALES, "link/theirs.wav", FIELD)


async def test_a_link_within_the_folder_is_followed(media, root):
    (root / "link").symlink_to("sub/b.wav")
    assert await find(media, "link") == b"b"


async def test_links_in_a_circle_are_not_found(media, root):
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.raises(NotFound):
        await media.find(SALES, "one", FIELD)


async def test_a_pipe_is_not_waited_for(media, root):
    os.mkfifo(root / "pipe.wav")
    with pytest.raises(NotFound):
        await media.find(SALES, "pipe.wav", FIELD)


async def test_the_folder_itself_may_be_a_link(tmp_path, root):
    (tmp_path / "other").symlink_to(root)
    assert await find(shared(tmp_path / "other"), "a.wav") == b"a"


async def test_a_new_file_lies_in_the_lines_own_folder_and_is_called_as_it_lies(media, root):
    path = media.reserve(SALES, "files/calls/x.wav", FIELD)
    assert path == (root / "lines" / "sales" / "calls" / "x.wav").resolve()
    assert media.name_of(path) == "files/lines/sales/calls/x.wav"
    for name in ("files/lines/sales/calls/x.wav", "lines/sales/calls/x.wav", "calls/x.wav"):
        assert await media.find(SALES, name, FIELD) == path
    with pytest.raises(NotFound):
        await media.find(SUPPORT, "files/lines/sales/calls/x.wav", FIELD)


async def test_the_only_line_records_into_the_media_folder_itself(root):
    media = shared(root, only_line=SALES)
    path = media.reserve(SALES, "files/calls/x.wav", FIELD)
    assert path == (root / "calls" / "x.wav").resolve()
    assert media.name_of(path) == "files/calls/x.wav"
    assert await media.find(SALES, "calls/x.wav", FIELD) == path
    assert media.reserve(SALES, "a.wav", FIELD).name == "a-2.wav"


@pytest.mark.parametrize("name", ["lines", "lines/support/x.wav", "calls/../lines/x.wav"])
def test_the_only_line_does_not_record_into_others_folders(root, name):
    with pytest.raises(InvalidRequest):
        shared(root, only_line=SALES).reserve(SALES, name, FIELD)


async def test_the_only_line_still_plays_what_it_recorded_beside_others(media, root):
    path = media.reserve(SALES, "x.wav", FIELD)
    assert await shared(root, only_line=SALES).find(SALES, "x.wav", FIELD) == path


def test_a_name_that_is_taken_gets_a_number_and_then_any_suffix(media):
    names = [media.reserve(SALES, "x.wav", FIELD).name for _ in range(MAX_COUNTED + 2)]
    assert names[:3] == ["x.wav", "x-2.wav", "x-3.wav"]
    assert len(set(names)) == MAX_COUNTED + 2


def test_a_file_is_no_folder(media):
    media.reserve(SALES, "x.wav", FIELD)
    with pytest.raises(InvalidRequest):
        media.reserve(SALES, "x.wav/y.wav", FIELD)


@pytest.mark.parametrize("line", ["../support", "..", ".", "a/b", "sales eu", "Verkauf ü"])
def test_a_lines_folder_lies_beside_the_others_whatever_the_lines_name(media, root, line):
    own = media.own(LineName(line))
    assert own.parent == (root / "lines").resolve()
    assert media.reserve(LineName(line), "x.wav", FIELD).parent.resolve() == own


def test_what_an_earlier_version_recorded_keeps_its_name(media, root):
    assert media.name_of((root / "calls" / "x.wav").resolve()) == "files/calls/x.wav"
