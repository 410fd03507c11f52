"""Smartwatch: a network meets a person that it never saw."""
