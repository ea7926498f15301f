"""Every duration by which the nodes of a bridge watch, ask and replace each other, computed from two.

The **heartbeat** is how often a node renews its lease in the database; how long a lease lasts, when others look and
how long they wait for what a node writes with its next heartbeat are multiples of it. The **answer** is how long a
sibling that is alive may take to answer; what is asked over HTTP has multiples of that. What must hold:

- a lease outlasts several heartbeats that fail, and a gap that disarms a node is shorter than a lease: a node that was
  paused while the leases of others ran out does not declare them dead;
- a node is read at least once per heartbeat, and what waits until a heartbeat is seen waits for one look more;
- a statement that renews a lease fails before the next heartbeat is due, and a suspect is asked for no longer.

A drain of the supervisor's nodes needs no heartbeat: the supervisor reports it at once. Its own heartbeat, between
processes of two versions, is `wire.supervision.HEARTBEAT_SECONDS`.
"""

from typing import Final


class ClusterTiming:
    """The durations, in seconds; all scale with the two that it is made from."""

    def __init__(  # noqa: PLR0915 - a list
        self, *, heartbeat: float = 2.0, answer: float = 1.0
    ) -> None:
        # Leases and decisions.
        self.heartbeat: Final = heartbeat
        self.lease: Final = 4 * heartbeat
        """From a heartbeat until others ask whether the node is alive."""
        self.max_gap: Final = 2 * heartbeat
        """Between two heartbeats; after a longer one a node declares none dead for the length of a lease."""
        self.statement: Final = heartbeat
        """A heartbeat that takes longer has failed."""
        self.look: Final = heartbeat / 2
        """Between two looks at the nodes."""
        self.decide: Final = heartbeat / 4
        """Between two decisions about the others."""
        self.decide_jitter: Final = 0.15 * heartbeat
        """Up to so many more, at random, so that not all nodes decide at once."""

        # What a node writes, until others know it.
        self.join: Final = heartbeat
        """Until all know a node that has joined: two looks."""
        self.finish_leased: Final = 2 * heartbeat
        """Requests that came before a drain may begin their calls: until others know of it, they leave new calls to the node."""
        self.finish_supervised: Final = heartbeat / 2
        """The same where the supervisor reports the drain at once."""
        self.recent: Final = 5 * heartbeat
        """Calls placed on a node since are added to the load that it has reported."""

        # Recovery of what a lost node left.
        self.recorded: Final = heartbeat / 4
        """Until the calls of a node whose end the supervisor saw are recorded as ended."""
        self.retry: Final = heartbeat / 2
        """Until what the database could not do is tried again."""
        self.sweep: Final = 30 * heartbeat
        """Between two looks for what a node wrote after others had taken over from it."""

        # Requests to siblings.
        self.answer: Final = answer
        """For a node whose lease has run out to say that it is alive."""
        self.connect: Final = answer
        self.request: Final = 2 * answer
        """For a node's own request: the connection and the answer."""
        self.forwarded: Final = 20 * answer
        """For the owner of a call to begin its answer to a client's request."""
        self.silent: Final = 5 * answer
        """A sibling that did not answer gets no new calls from here."""
        self.log_again: Final = 10 * answer
        """Between two lines of the log about the same."""
        self.introduce: Final = 5 * answer
        """From the start until all siblings are asked once: those that start at the same time may answer later than
        they are registered."""
        self.kept: Final = 15 * answer
        """An idle connection to another machine is kept; the listener keeps it longer."""

        # Handover of live calls to another node of the machine.
        self.handover_hello: Final = 5 * answer
        """For the successor to say which node it is."""
        self.handover_answer: Final = answer / 2
        """For the successor to begin with a call; afterwards it is taken back. Nobody is heard meanwhile."""
        self.handover_prompt: Final = answer / 50
        """A successor that takes longer to answer a greeting is not passed the next call yet."""
        self.handover_poll: Final = heartbeat / 4
        """Between two looks for calls that can move now, and for a successor that does not answer."""


DEFAULT: Final = ClusterTiming()
