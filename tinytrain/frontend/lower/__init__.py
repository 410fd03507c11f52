"""From an imported program to a graph: `lower.lower` first."""
