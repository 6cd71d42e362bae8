"""Tops, clocking, pins and bitstream flow of real boards."""
