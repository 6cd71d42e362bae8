"""Control plane of the VTEP: configuration and what is derived from it."""
