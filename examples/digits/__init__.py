"""Digits: a network meets a camera that is tilted and pale."""
