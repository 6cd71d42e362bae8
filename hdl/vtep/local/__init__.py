"""The local stack of a stand-alone gateway: answers for its own addresses, and the MAC addresses of its neighbours."""
