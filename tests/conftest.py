"""What every test of the house shares: how Hypothesis searches."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: how long one example takes says more about the machine than about the code. The blob lets a failure be
# repeated anywhere. With CI set, examples depend on the code alone, so that a red build stays red until it is mended.
settings.register_profile("house", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("house")
