"""A box that says who lives in it."""

import birdcalls
import featherweight

__version__ = "1.0.0"


def box(bird="robin"):
    """Give a framed text: what the bird in the box says."""
    return featherweight.frame([
        "nestbox %s, from your own index" % __version__,
        "%s: %s" % (bird, birdcalls.call(bird)),
    ])


def main():
    """Print the box of each bird on the command line, or of a robin."""
    import sys

    for bird in sys.argv[1:] or ["robin"]:
        print(box(bird))
