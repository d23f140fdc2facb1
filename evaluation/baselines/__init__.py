"""Other ways to edit the same decoder, on the same cases and with the same measures, offline."""
