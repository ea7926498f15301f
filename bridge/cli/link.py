"""`media-bridge link`: the link to the page of a bridge that runs, with the token of its start."""

import sys
from pathlib import Path

from bridge.errors import SetupError
from bridge.http import local_token
from bridge.settings.model import Settings


def run(settings: Settings) -> int:
    """Print the link; return the exit code.

    Raises:
        SetupError: the token cannot be read.
    """
    path = Path(settings.data.dir) / local_token.FILE
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise SetupError(
            f"{path}: {error.strerror}; start the bridge, and run this as its user, with its settings"
        ) from error
    sys.stdout.write(f"{local_token.link(settings, token)}\n")
    return 0
