"""Makes the fixtures of `firmware` known to the tests of this folder."""

from tests.support.emulated_programs import program_folder

__all__ = ["program_folder"]
