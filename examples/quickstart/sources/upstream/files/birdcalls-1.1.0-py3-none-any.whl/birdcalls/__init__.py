"""What birds say."""

__version__ = "1.1.0"

CALLS = {
    "owl": "hoo",
    "robin": "cheerily, cheer up",
}


def call(bird):
    """Give the call of a bird, or what a bird says that nobody knows."""
    return CALLS.get(bird, "peep")
