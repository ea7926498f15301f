"""The bridge: a person in a browser, a bot on a socket and a WhatsApp call, joined on a PCM bus.

Control: whatever happens becomes an event, `call.machine` answers with commands, `node.runner`
performs them. Audio: leg -> source -> bus -> sink -> leg, and nothing on that road awaits.
Imports go down only: api, node, legs, rtc and net, metrics, call, wire, audio, then log, settings
and errors.
"""

__version__ = "0.1.0"
