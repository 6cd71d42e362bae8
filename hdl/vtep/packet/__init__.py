"""What works on packets: parsing, storing, and reframing."""
