"""A media bridge: connects browsers, bots on sockets, WhatsApp calls and telephones through a PCM bus.

Control: everything becomes an event, `call.machine` returns commands, `node.runner` performs them.
Audio: leg -> source -> bus -> sink -> leg, without awaiting. Imports go down only; the import
contracts in pyproject.toml list the packages from top to bottom.
"""

__version__ = "0.1.0"
