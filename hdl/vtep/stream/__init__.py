"""The packet stream: payload layout, queues, routing, checking, and AXI4-Stream at the border."""
