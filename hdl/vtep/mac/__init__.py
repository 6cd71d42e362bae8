"""Ethernet MAC: coding of the media-independent interfaces, receive and transmit."""
