"""How the documentation is made from the code and from committed results.

`mkdocs build` makes the reference pages each time (hooks.py), so that they cannot go stale;
`python -m docs_build` renews what is committed because a forge shows it too: the drawings, and
the benchmark table of the README.
"""
