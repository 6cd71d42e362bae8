"""Network interfaces whose frames a program has: TAP devices, and those that exist."""
