"""A bridge for attacks."""

from tests.api.conftest import client as client
