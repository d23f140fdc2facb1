"""Decoding on a CPU in one C call a step, where architecture, compiler and processor allow it."""
