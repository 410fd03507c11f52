"""Tries model files: is each taken, does its C compute what the format does, and does it learn."""
