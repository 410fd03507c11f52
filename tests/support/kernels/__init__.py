"""Kernels of an instruction set beside their portable twins: cases, firmware, its run."""
