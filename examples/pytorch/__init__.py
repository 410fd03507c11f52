"""Your own PyTorch module."""
