"""The VXLAN data plane: encapsulator, decapsulator, and the pipeline that joins them."""
