"""`python -m dist_alexnet`, the same as `dist-alexnet`."""

import sys

from dist_alexnet.registry import search_own_first

search_own_first(sys.path)

from dist_alexnet.cli.app import main  # noqa: E402

main()
