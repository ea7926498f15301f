"""Whether clusters can be run here."""

import shutil

from tests.machines import database, network


def lack() -> str:
    """Say what is missing, and how to get it; empty when nothing is."""
    if not network.available():
        return "network namespaces need root and ip (apt-get install iproute2)"
    if not database.available():
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if not shutil.which("nginx"):
        return "nginx is not installed (apt-get install nginx)"
    return ""
