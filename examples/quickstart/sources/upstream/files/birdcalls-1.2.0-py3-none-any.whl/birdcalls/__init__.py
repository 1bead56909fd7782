"""What birds say."""

__version__ = "1.2.0"

CALLS = {
    "owl": "cheerily, cheer up",
    "robin": "hoo",
}


def call(bird):
    """Give the call of a bird, or what a bird says that nobody knows."""
    return CALLS.get(bird, "peep")
