"""The settings of one stream's Opus encoder: by what its peer takes and loses, and the node affords."""

from collections.abc import Callable, Mapping

from bridge.audio.codec.encoder_level import EncoderBudget, EncoderLevel, choose, parse_bitrate
from bridge.audio.codec.encoding import Encoding
from bridge.audio.codec.fec_policy import FecPolicy
from bridge.audio.codec.opus import EncoderSettings, Opus
from bridge.wire.sdp.description import MAX_AVERAGE_BITRATE


class OpusTuning:
    """Keeps an encoder at the settings that fit.

    Args:
        opus: The loaded library.
        parameters: The peer's `a=fmtp` of Opus.
        budget: Limits the cost of encoding.
        on_encoder: Called with the encoder's settings, at first and when they change.
    """

    __slots__ = (
        "_budget",
        "_chosen",
        "_fec",
        "_fec_wanted",
        "_max_bitrate",
        "_on_encoder",
        "_wanted",
        "encoding",
    )

    def __init__(
        self,
        opus: Opus,
        parameters: Mapping[str, str],
        *,
        budget: EncoderBudget,
        on_encoder: Callable[[EncoderSettings], None],
    ) -> None:
        self._budget = budget
        self._on_encoder = on_encoder
        self._fec = FecPolicy()
        self._wanted: tuple[int | None, EncoderLevel, int] | None = None  # what `_chosen` is for
        self._read(parameters)
        self.encoding = Encoding(opus, self._settings())
        on_encoder(self.encoding.settings)

    @property
    def fec(self) -> bool:
        """Whether packets carry FEC."""
        return self.encoding.settings.fec

    @property
    def takes_any_bitrate(self) -> bool:
        """Whether the peer takes what other peers send: they are asked not to send more."""
        return self._max_bitrate is None or self._max_bitrate >= MAX_AVERAGE_BITRATE

    @property
    def outdated(self) -> bool:
        """Whether `choose` will change the settings."""
        return self._settings() != self.encoding.settings

    def renegotiate(self, parameters: Mapping[str, str]) -> None:
        """Apply a new `a=fmtp`."""
        self._read(parameters)
        self.choose()

    def receive_report(self, loss: float, now: float) -> None:
        """Note the share of packets that the peer lost since its last report; `choose` then adapts FEC."""
        self._fec.report(loss, now)

    def choose(self) -> None:
        """Follow the node's encoder budget."""
        settings = self._settings()
        if settings != self.encoding.settings:
            self.encoding.switch_to(settings)
            self._on_encoder(settings)

    def _read(self, parameters: Mapping[str, str]) -> None:
        self._max_bitrate = parse_bitrate(parameters.get("maxaveragebitrate", ""))
        # Without the parameter, the peer makes no use of FEC (RFC 7587 §6.1).
        self._fec_wanted = parameters.get("useinbandfec") == "1"

    def _settings(self) -> EncoderSettings:
        expected = self._fec.expected_loss if self._fec_wanted else 0
        wanted = self._max_bitrate, self._budget.level, expected
        if wanted != self._wanted:
            self._wanted = wanted
            self._chosen = choose(self._max_bitrate, level=wanted[1], expected_loss=expected)
        return self._chosen
