"""What the operators share: the choice of a variant, and tools for kernels in numba and Triton."""
