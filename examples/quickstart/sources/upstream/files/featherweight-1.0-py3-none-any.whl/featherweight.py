"""Frames for a few lines of text."""

__version__ = "1.0"


def frame(lines):
    """Give the lines with a frame around them."""
    width = max(len(line) for line in lines)
    rule = "*" + "*" * (width + 2) + "*"
    return "\n".join([rule] + ["* " + line.ljust(width) + " *" for line in lines] + [rule])
