"""Everything that touches the device: encoding, reading, decoding."""
