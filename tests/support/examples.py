"""How many examples a property test tries."""

from hypothesis import settings


def examples(most: int) -> int:
    """Return how many examples to try: at most those of the profile, where that draws the same ones at each run.

    Args:
        most: those that are worth trying where they are drawn anew.
    """
    profile = settings.get_profile(settings.get_current_profile_name())
    return min(most, profile.max_examples) if profile.derandomize else most
