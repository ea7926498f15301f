"""The figures of live calls, taken when a test wants them and not once a second."""

from bridge.node.manager import Manager


def sample_calls(manager: Manager, now: float) -> None:
    """Sample all calls at once, and forget the ended ones whose time has expired."""
    for runner in manager.calls():
        manager.sampler.sample(runner, now)
    manager.forget_ended(now)
