"""Quality of a running service, measured as the literature does, over HTTP alone."""
