"""Where the served pages are found. tests/deploy/test_wheel.py does it from a wheel."""

from bridge.app.pages import find_pages


def test_a_checkout_serves_its_own_pages():
    pages = find_pages()
    assert (pages.web / "index.html").is_file()
    assert pages.readme.is_file()
