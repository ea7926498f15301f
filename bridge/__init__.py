"""The bridge: a person in a browser, a bot on a socket and a WhatsApp call, joined on a PCM bus.

Control: whatever happens becomes an event, `call.machine` answers with commands, `node.runner`
performs them. Audio: leg -> source -> bus -> sink -> leg, and nothing on that road awaits.
Imports go down only: api, node, legs, rtc and net, call, wire, audio, then errors, settings, log
and metrics.
"""

__version__ = "0.1.0"
