"""The memory: least-squares mathematics and its persistence in Redis.

Knows nothing of HTTP or of language models: it stores unit addresses and latents,
and answers a query address with a readout.
"""
