"""Two network namespaces with the Linux kernel's own VXLAN devices, and the traffic between them.

Standard library only: with root, iproute2 and tcpdump it runs on any machine.
"""
