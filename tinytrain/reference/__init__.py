"""What the device computes, in NumPy, equal to `runtime_c/` to the bit.

`docs/arithmetic.md` is the specification; each module names the sections that it follows. The
arithmetic of a family of operations (`convolution`, `pooling`, `elementwise`, ...) takes arrays and
plain numbers and changes none of its arguments; `evaluate_*` enters it into the tables.
"""
