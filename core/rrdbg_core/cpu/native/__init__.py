"""The parts of the kernel that numba compiles; read as source by cpu/frontend.py, never imported as modules."""
