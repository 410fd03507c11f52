"""Makes the fixtures of `conftest_targets` known to the tests of this folder."""

from conftest_targets import program_folder

__all__ = ["program_folder"]
