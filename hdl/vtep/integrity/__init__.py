"""Integrity: CRC-32 and the frame check sequence, and the RFC 1071 checksum."""
