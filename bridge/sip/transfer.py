"""REFER in a dialog (RFC 3515), ours and theirs, and its NOTIFYs."""

from bridge.sip.events import TransferProgressed, TransferRequested
from bridge.sip.message.body import fragment_code
from bridge.sip.message.message import PHRASES, Response, SipError
from bridge.sip.message.values import Address, ValueSyntaxError, escape, readable
from bridge.sip.session import Phase, Session
from bridge.sip.transaction.server import ServerTransaction

SUBSCRIPTION_SECONDS = 180


class Transfer:
    """At most one transfer in each direction at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked = False
        """Whether their REFER is open, and expects our NOTIFYs."""
        self._asking = False
        self._event = ""

    @property
    def idle(self) -> bool:
        """Whether no transfer is under way."""
        return not self._asked and not self._asking

    # Theirs

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """Take a REFER.

        Raises:
            SipError: it is malformed, or one is under way.
        """
        headers = transaction.request.headers
        if len(headers.all("refer-to")) != 1:
            raise SipError(400, "not exactly one Refer-To")
        try:
            target = Address.parse(headers.first("refer-to")).uri
        except ValueSyntaxError as error:
            raise SipError(400, str(error)) from None
        if target.scheme not in ("sip", "sips", "tel"):
            raise SipError(416, "a transfer to an unsupported scheme")
        if self._asked:
            raise SipError(491, "a transfer is under way")
        silent = headers.first("refer-sub").strip().lower() == "false"  # RFC 4488
        self._asked = not silent
        # The first needs no id (RFC 3515 section 2.4.6), and some do not expect one.
        self._event = f"refer;id={headers.cseq.number}" if self._event else "refer"
        fields = (("Refer-Sub", "false"),) if silent else ()
        contact = self._session.dialog.contact if self._session.dialog else ""
        self._session.respond(transaction, 202, now, *fields, ("Contact", contact))
        self.notify(100, now)
        uri = target.text.partition("?")[0]
        replaces = target.headers.get("replaces", "")
        self._session.happened(TransferRequested(readable(target.user), uri, replaces))

    def notify(self, code: int, now: float) -> None:
        """Report the progress of the call that was asked for; ignored after a final code."""
        if not self._asked or self._session.phase is not Phase.CONFIRMED:
            return
        self._asked = code < 200
        request = self._session.request("NOTIFY")
        request.headers.put("Event", self._event)
        state = (
            f"active;expires={SUBSCRIPTION_SECONDS}"
            if code < 200
            else "terminated;reason=noresource"
        )
        request.headers.put("Subscription-State", state)
        request.headers.put("Contact", self._session.dialog.contact if self._session.dialog else "")
        request.headers.put("Content-Type", "message/sipfrag;version=2.0")
        request.body = f"SIP/2.0 {code} {PHRASES.get(code, 'Progress')}\r\n".encode()
        self._session.send(request, self._notified, now)

    def _notified(self, response: Response, _now: float) -> None:
        if response.code in (408, 481):
            self._asked = False

    # Ours

    def refer(self, uri: str, now: float, replaces: str = "") -> None:
        """Send a REFER to a URI; `replaces` names the dialog to take over there (RFC 3891)."""
        if self._session.phase is not Phase.CONFIRMED or self._asking:
            self._session.happened(TransferProgressed(491, final=True))
            return
        self._asking = True
        request = self._session.request("REFER")
        joined = "&" if "?" in uri else "?"
        with_replaces = f"{uri}{joined}Replaces={escape(replaces, '')}" if replaces else uri
        request.headers.put("Refer-To", f"<{with_replaces}>")
        if self._session.dialog:
            referred_by = Address.parse(self._session.dialog.local).uri.text
            request.headers.put("Referred-By", f"<{referred_by}>")
        self._session.send(request, self._referred, now)

    def _referred(self, response: Response, _now: float) -> None:
        if response.code < 200:
            return
        unsubscribed = response.headers.first("refer-sub").strip().lower() == "false"
        if response.code >= 300 or unsubscribed:
            self._asking = False
            self._session.happened(TransferProgressed(response.code, final=True))
        else:
            self._session.happened(TransferProgressed(100, final=False))

    def notified(self, transaction: ServerTransaction, now: float) -> None:
        """Take a NOTIFY.

        Raises:
            SipError: it belongs to no REFER of ours.
        """
        request = transaction.request
        event = request.headers.first("event").partition(";")[0].strip().lower()
        if event != "refer":
            raise SipError(489, "an event we did not subscribe to")
        if not self._asking:
            raise SipError(481, "no transfer is under way")
        self._session.respond(transaction, 200, now)
        code = fragment_code(request)
        state = request.headers.first("subscription-state").partition(";")[0].strip().lower()
        final = state == "terminated" or code >= 200
        self._asking = not final
        if code or final:
            self._session.happened(TransferProgressed(code or 408, final=final))


def replaces_value(call_id: str, far_tag: str, our_tag: str) -> str:
    """Return the Replaces that names a dialog of ours to its far side (RFC 3891 section 3)."""
    return f"{call_id};to-tag={far_tag};from-tag={our_tag}"


def replaces_parts(value: str) -> tuple[str, str, str, bool]:
    """Return Call-ID, to-tag, from-tag of a Replaces field, and whether it is for early dialogs only."""
    call_id, *rest = (part.strip() for part in value.split(";"))
    given = {name.strip().lower(): tag.strip() for name, _, tag in (p.partition("=") for p in rest)}
    return call_id, given.get("to-tag", ""), given.get("from-tag", ""), "early-only" in given
