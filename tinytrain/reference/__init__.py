"""What the device computes, in NumPy, equal to `runtime_c/` to the bit.

`docs/arithmetic.md` is the specification; each function names the section that it follows. The
functions are pure: they take arrays and plain numbers and change none of their arguments.
"""
