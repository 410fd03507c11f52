"""Makes the fixtures of `firmware` known to the tests of this folder."""

from firmware import program_folder

__all__ = ["program_folder"]
