"""Configuration tables and counters."""
