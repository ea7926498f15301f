"""How Meta's API looks where another provider stands in front of it."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Style:
    """What differs between those that offer Meta's API."""

    prefix: str = ""
    """What `base_url` has after the host."""
    auth_header: str = "Authorization: Bearer {token}"
    path: str = "/{version}/{phone_number_id}{path}"
    settings_path: str = "/settings"
    signature_header: str = "X-Hub-Signature-256"
    signature_prefix: str = "sha256="

    def route(self, path: str) -> str:
        """Return the pattern of something below the number."""
        return self._route(self.path, path)

    @property
    def file_route(self) -> str:
        """The pattern of files, which are not below the number."""
        return self._route(self.path.replace("/{phone_number_id}", ""), "/{number:[0-9]+}")

    def _route(self, whole: str, path: str) -> str:
        known = {"version": r"{version:v[0-9]+\.[0-9]+}", "phone_number_id": "{number:[0-9]+}"}
        for name, pattern in (known | {"path": path}).items():
            whole = whole.replace("{" + name + "}", pattern)
        return self.prefix + whole or "/"

    def is_from(self, headers: Any, token: str) -> bool:
        """Whether a request has the token in its header, and in no other."""
        name, value = self.auth_header.split(": ")
        carriers = [each for each, found in headers.items() if token in found]
        return carriers == [name] and headers[name] == value.replace("{token}", token)

    def settings(self) -> dict[str, str]:
        """What a line has to set for it, but for `base_url`."""
        names = ("auth_header", "path", "settings_path", "signature_header")
        return {name: getattr(self, name) for name in names}


META: Final = Style()
KAPSO: Final = Style(
    prefix="/meta/whatsapp",
    auth_header="X-API-Key: {token}",
    signature_header="X-Webhook-Signature",
    signature_prefix="",
)
DIALOG_360: Final = Style(
    auth_header="D360-API-KEY: {token}",
    path="{path}",
    settings_path="/calling/settings",
    signature_header="x-360dialog-signature",
)
