"""The lines of Meta's Cloud API, made from their settings."""

from bridge.app.lines import lines_of
from bridge.call.model import LineName
from bridge.http.client import Http
from bridge.providers.cloud.live import CloudLine
from bridge.settings.model import Settings, WhatsApp
from bridge.whatsapp.graph import Graph, GraphAccess


def graph_of(whatsapp: WhatsApp, http: Http) -> Graph:
    """Return the Graph client of a line."""
    access = GraphAccess(
        phone_number_id=whatsapp.phone_number_id,
        access_token=whatsapp.access_token,
        base_url=whatsapp.base_url,
        version=whatsapp.version,
        announcements=announcements(whatsapp),
    )
    return Graph(access, http)


def announcements(whatsapp: WhatsApp) -> dict[str, dict[str, str]]:
    """Return what Meta announces to the other party: that the call is recorded, or transcribed."""
    purposes = {
        "recording": whatsapp.recording_purpose,
        "transcription": whatsapp.transcription_purpose,
    }
    return {
        name: {
            "status": "ENABLED",
            "purpose": purpose,
            "announcement_language": whatsapp.announcement_language,
        }
        for name, purpose in purposes.items()
        if purpose
    }


def cloud_lines(settings: Settings, http: Http) -> dict[LineName, CloudLine]:
    """Return the lines that use Meta's Cloud API, as their provider takes them."""
    return {
        name: CloudLine(
            phone_number_id=whatsapp.phone_number_id,
            app_secret=whatsapp.app_secret,
            verify_token=whatsapp.verify_token,
            pre_accept=whatsapp.pre_accept,
            graph=graph_of(whatsapp, http),
        )
        for name, whatsapp in lines_of(settings, "cloud").items()
    }
