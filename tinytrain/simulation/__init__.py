"""Builds, measures and runs a generated folder, on this machine or under emulation."""
