"""What each command of the command line does: a function of the Python API, and its tables."""
