"""A generator whose codes have names, as a folder, and its use from Python."""

from ssgan.export.generator import NamedGenerator, Reading

__all__ = ["NamedGenerator", "Reading"]
