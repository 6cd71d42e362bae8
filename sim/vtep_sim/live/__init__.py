"""The simulated core between network interfaces of this machine."""
