"""Docker's health check: whether the service in this container takes requests."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

if __name__ == "__main__":
    url = f"http://127.0.0.1:{os.environ.get('LARIMAR_PORT', '8000')}/readyz"
    try:
        urllib.request.urlopen(url, timeout=4).close()
    except urllib.error.URLError as error:
        sys.exit(f"not ready: {error}")
