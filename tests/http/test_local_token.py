"""The token of a start: one for all nodes, and for nobody but the bridge's user."""

from concurrent.futures import ThreadPoolExecutor

from bridge.http.local_token import FILE, announce, find, make
from bridge.settings.model import Data, Http, Line, Settings


def chosen(folder, **changed):
    return Settings(data=Data(dir=str(folder)), http=Http(port=8099), **changed)


def test_every_start_has_a_token_of_its_own(tmp_path):
    assert make() != make()
    announce(chosen(tmp_path), "first")
    announce(chosen(tmp_path), "second")
    assert find(tmp_path) == "second"


def test_nobody_else_may_read_it_and_nothing_else_is_left(tmp_path):
    path = tmp_path / FILE
    path.write_text("of a version that did not care")
    path.chmod(0o644)
    announce(chosen(tmp_path), make())
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_all_nodes_find_the_same_where_the_supervisor_has_made_none(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: find(tmp_path / "data"), range(32)))
    assert len(found) == 1
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600


def test_the_demonstration_prints_its_link(tmp_path, capsys):
    announce(chosen(tmp_path), "abc")
    assert capsys.readouterr().out.strip() == "Open http://127.0.0.1:8099/#token=abc"


def test_a_bridge_with_lines_prints_none(tmp_path, capsys):
    announce(chosen(tmp_path, lines={"main": Line(keys=["k"])}), "abc")
    assert capsys.readouterr().out == ""
