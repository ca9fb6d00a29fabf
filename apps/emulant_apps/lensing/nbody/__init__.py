"""A particle-mesh simulator of the matter that lenses, and the light cone through it.

Lengths are comoving Mpc/h, momenta p = a² dx/d(H₀ t) in Mpc/h, particles have mass one.
"""
