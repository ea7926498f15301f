"""A number's settings at Meta, with those of its SIP server, and what Meta says of its health."""

import secrets
from copy import deepcopy
from typing import Any


def change(settings: dict[str, Any], calling: dict[str, Any]) -> str:
    """Take a POST; return why it is refused, if it is. Settings of SIP bring the default keys back (DTLS)."""
    found = settings["calling"]
    sip = calling.get("sip", {})
    servers = sip.get("servers", found.get("sip", {}).get("servers", []))
    if sip.get("status") == "ENABLED" and len(servers) != 1:
        return "exactly one SIP server must be set"
    if "servers" in sip:
        known = {each["hostname"]: each for each in found.get("sip", {}).get("servers", [])}
        for each in sip["servers"]:
            former = known.get(each["hostname"], {}).get("sip_user_password")
            each["sip_user_password"] = former or secrets.token_urlsafe(24)
        found.pop("srtp_key_exchange_protocol", None)
    found |= calling | ({"sip": found.get("sip", {}) | sip} if sip else {})
    return ""


def show(settings: dict[str, Any], *, credentials: bool) -> dict[str, Any]:
    """Answer a GET; passwords only if they are asked for."""
    shown = deepcopy(settings)
    if not credentials:
        for server in shown["calling"].get("sip", {}).get("servers", []):
            server.pop("sip_user_password", None)
    return shown


def sip_is_on(settings: dict[str, Any]) -> bool:
    """Whether calls go over SIP, and none over the Graph API."""
    return bool(settings["calling"].get("sip", {}).get("status") == "ENABLED")


def health(settings: dict[str, Any]) -> dict[str, Any]:
    """Answer what may be done with the number."""
    ready = sip_is_on(settings)
    error = {"error_code": 138024, "error_description": "No SIP server is configured"}
    entities: list[dict[str, Any]] = [
        {
            "entity_type": "PHONE_NUMBER",
            "can_receive_call_sip": "AVAILABLE" if ready else "BLOCKED",
        },
        {"entity_type": "WABA", "can_send_message": "AVAILABLE"},
    ]
    if not ready:
        entities[0]["errors"] = [error]
    return {"health_status": {"can_send_message": "AVAILABLE", "entities": entities}}
