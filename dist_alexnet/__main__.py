"""`python -m dist_alexnet`, the same as `dist-alexnet`."""

from dist_alexnet.cli.app import main

main()
