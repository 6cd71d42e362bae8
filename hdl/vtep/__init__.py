"""OpenVTEP: a VXLAN tunnel endpoint in hardware, written in Amaranth."""
