"""A perch from the days of eggs. It runs under Python 2 and 3."""

__version__ = "2.1"


def sit(bird):
    return "%s sits on the old perch" % bird
