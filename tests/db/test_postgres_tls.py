"""The connection to the database is encrypted, and its server is who the URL names."""

import contextlib
import shutil
from pathlib import Path

import pytest

from bridge.db.postgres import Postgres
from bridge.errors import SetupError
from tests.support.servers.authority import Authority

pytestmark = pytest.mark.postgresql
SETTINGS = ("ssl", "ssl_cert_file", "ssl_key_file")


@pytest.fixture
def offers_tls(postgres_server, tmp_path):
    """A server with a certificate for its address, and the file of the authority."""
    authority = Authority(tmp_path)
    issued = authority.issue(host="127.0.0.1")
    for name in (issued.tls_cert, issued.tls_key):
        path = shutil.copy(name, postgres_server.folder)
        Path(path).chmod(0o600)
        with contextlib.suppress(LookupError):  # where the tests are not root
            shutil.chown(path, "postgres", "postgres")
    values = ("on", *(str(postgres_server.folder / name) for name in ("cert.pem", "key.pem")))
    changes = [
        f"ALTER SYSTEM SET {name} = '{value}'" for name, value in zip(SETTINGS, values, strict=True)
    ]
    postgres_server.execute(*changes, "SELECT pg_reload_conf()", "SELECT pg_sleep(0.1)")
    try:
        yield postgres_server, authority.path
    finally:
        back = [f"ALTER SYSTEM RESET {name}" for name in SETTINGS]
        postgres_server.execute(*back, "SELECT pg_reload_conf()")


def encrypted(url):
    with contextlib.closing(Postgres(url).open()) as session:
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        return session.execute(query).fetchone()[0]


def test_a_certificate_of_the_named_authority_is_accepted_for_its_address_alone(
    offers_tls, tmp_path
):
    server, authority = offers_tls
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other).path
    with server.database() as name:
        url = server.tcp_url(name, options=f"?sslmode=verify-full&sslrootcert={authority}")
        assert encrypted(url) is True
        with pytest.raises(SetupError, match="certificate is not valid for its name"):
            encrypted(url.replace("127.0.0.1", "localhost"))
        with pytest.raises(SetupError, match="or of no known authority"):
            encrypted(url.replace(str(authority), str(stranger)))
        assert encrypted(server.tcp_url(name, options="?sslmode=require")) is True
