"""The portable runtime as a library of the host: builds, calls and random cases."""
