"""What birds say."""

__version__ = "1.0.0"

CALLS = {
    "owl": "hoo",
}


def call(bird):
    """Give the call of a bird, or what a bird says that nobody knows."""
    return CALLS.get(bird, "peep")
