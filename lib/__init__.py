"""Functions of arrays and files; they know no configuration."""

from lib.runtime.hidden_imports import deferred

# SciPy looks up every module of NumPy, also its compiler for Fortran, which takes a tenth of a second to import.
with deferred("numpy.f2py"):
    import numpy.f2py  # noqa: F401
