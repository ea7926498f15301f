"""TLS of SIP."""

import pytest

from bridge.errors import SettingsError
from bridge.trunk.tls import client_context, server_context
from tests.support.servers.authority import Authority


def test_files_that_cannot_be_used_are_named_with_their_setting(tmp_path):
    issued = Authority(tmp_path).issue()
    client_context(ca=str(tmp_path / "authority.pem"), cert=issued.tls_cert, key=issued.tls_key)
    for setting, make in {
        "sip.tls_ca": lambda: client_context(ca=str(tmp_path / "none.pem")),
        "sip.tls_cert": lambda: server_context(cert=issued.tls_key, key=issued.tls_key),
        "sip.tls_key": lambda: client_context(cert=issued.tls_cert, key=str(tmp_path / "none.key")),
    }.items():
        with pytest.raises(SettingsError, match=setting):
            make()
