"""Nobody asked for this one."""

__version__ = "1.0"
